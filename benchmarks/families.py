"""Speed and memory of every model family at its real size, with random weights: a Markdown table.

    python benchmarks/families.py [--only NAME] [--threads 2] [--runs 5] [--timeout 1800]

Every family is built from the sizes of its public checkpoint, saved as a folder, and measured in a process
of its own that loads it the way `oodseg predict` does. The image is a drawn scene of 1280x720. Segmenters
see it at the size at which the street pipeline's detector works (640x360), energy score included; promptable
models encode it whole and decode 1, 5 and 20 boxes. Medians; peak memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from string import ascii_lowercase
from typing import Any

WIDTH, HEIGHT = 1280, 720
BOXES = (1, 5, 20)
SECONDS = 60.0  # no more runs of one thing once it has taken this long

STAGES = ["stage1", "stage2", "stage3", "stage4"]
SWIN = {
    "tiny": {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7},
    "base": {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "window_size": 12},
    "large": {"embed_dim": 192, "depths": [2, 2, 18, 2], "num_heads": [6, 12, 24, 48], "window_size": 12},
}
VIT: dict[str, dict[str, Any]] = {
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "global_attn_indexes": [5, 11, 17, 23]},
    "huge": {"hidden_size": 1280, "num_hidden_layers": 32, "global_attn_indexes": [7, 15, 23, 31]},
}
# Of the first stage: channels and heads; then blocks and window of every stage, blocks with global attention.
HIERA = {
    "tiny": (96, 1, [1, 2, 7, 2], [8, 4, 14, 7], [5, 7, 9], 7),
    "small": (96, 1, [1, 2, 11, 2], [8, 4, 14, 7], [7, 10, 13], 7),
    "base+": (112, 2, [2, 3, 16, 3], [8, 4, 14, 7], [12, 16, 20], 14),
    "large": (144, 2, [2, 6, 36, 4], [8, 4, 16, 8], [23, 33, 43], 7),
}


def segformer(hidden: list[int], depths: list[int], decoder: int) -> Callable[[Any, Path], Any]:
    def make(library: Any, folder: Path) -> Any:
        config = library.SegformerConfig(
            hidden_sizes=hidden, depths=depths, decoder_hidden_size=decoder, num_labels=19
        )
        return library.SegformerForSemanticSegmentation(config)

    return make


def upernet(library: Any, folder: Path) -> Any:
    backbone = library.ConvNextConfig(
        depths=[3, 3, 9, 3], hidden_sizes=[96, 192, 384, 768], out_features=STAGES
    )
    config = library.UperNetConfig(
        backbone_config=backbone, pool_scales=[1, 2, 3, 6], auxiliary_in_channels=384, num_labels=150
    )
    return library.UperNetForSemanticSegmentation(config)


def dpt(library: Any, folder: Path) -> Any:
    config = library.DPTConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        backbone_out_indices=[5, 11, 17, 23],
        neck_hidden_sizes=[256, 512, 1024, 1024],
        image_size=480,
        use_batch_norm_in_fusion_residual=True,
        num_labels=150,
    )
    return library.DPTForSemanticSegmentation(config)


def on_swin(model: str, size: str, **options: Any) -> Callable[[Any, Path], Any]:
    """Mask classifiers on a Swin backbone."""

    def make(library: Any, folder: Path) -> Any:
        image = 224 if size == "tiny" else 384
        backbone = library.SwinConfig(**SWIN[size], image_size=image, out_features=STAGES)
        head = "Instance" if model == "MaskFormer" else "Universal"
        config = getattr(library, f"{model}Config")(backbone_config=backbone, **options)
        return getattr(library, f"{model}For{head}Segmentation")(config)

    return make


def oneformer(library: Any, folder: Path) -> Any:
    # A tokenizer of single letters: the words of the task do not affect the timing.
    tokens = [
        "<|startoftext|>",
        "<|endoftext|>",
        *ascii_lowercase,
        *(f"{each}</w>" for each in ascii_lowercase),
    ]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    library.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    return on_swin("OneFormer", "large", num_queries=250, num_labels=19)(library, folder)


def eomt(library: Any, folder: Path) -> Any:
    library.EomtImageProcessor(
        size={"shortest_edge": 1024, "longest_edge": None}, do_split_image=True
    ).save_pretrained(folder)
    return library.EomtForUniversalSegmentation(
        library.EomtConfig(image_size=1024, num_queries=100, num_labels=19)
    )


def sam(size: str, family: str = "Sam") -> Callable[[Any, Path], Any]:
    def make(library: Any, folder: Path) -> Any:
        library.SamImageProcessor().save_pretrained(folder)
        vision = dict(VIT[size])
        if vision:
            vision |= {"num_attention_heads": 16, "mlp_dim": 4 * vision["hidden_size"]}
        decoder = {"vit_dim": vision.get("hidden_size", 768)} if family == "SamHQ" else {}
        config = getattr(library, f"{family}Config")(vision_config=vision, mask_decoder_config=decoder)
        return getattr(library, f"{family}Model")(config)

    return make


def sam2(size: str) -> Callable[[Any, Path], Any]:
    def make(library: Any, folder: Path) -> Any:
        library.Sam2ImageProcessor().save_pretrained(folder)
        channels, heads, blocks, windows, everywhere, grid = HIERA[size]
        widths = [channels * 2**stage for stage in range(4)]
        hiera = {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": channels,
            "blocks_per_stage": blocks,
            "embed_dim_per_stage": widths,
            "num_attention_heads_per_stage": [heads * 2**stage for stage in range(4)],
            "window_size_per_stage": windows,
            "global_attention_blocks": everywhere,
            "window_positional_embedding_background_size": [grid, grid],
        }
        vision = {"backbone_config": hiera, "backbone_channel_list": widths[::-1]}
        return library.Sam2Model(library.Sam2Config(vision_config=vision))

    return make


def edgetam(library: Any, folder: Path) -> Any:
    library.Sam2ImageProcessor().save_pretrained(folder)
    backbone = {
        "model_type": "timm_wrapper",
        "architecture": "repvit_m1",
        "num_classes": 0,
        "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    }
    return library.EdgeTamModel(library.EdgeTamConfig(vision_config={"backbone_config": backbone}))


def sam3(library: Any, folder: Path) -> Any:
    library.Sam3ImageProcessor().save_pretrained(folder)
    return library.Sam3TrackerModel(library.Sam3TrackerConfig())


# Name: what a user types before the colon, and the model (None: bundled, nothing to make).
SEGMENTERS: dict[str, tuple[str, Callable[[Any, Path], Any] | None]] = {
    "street (bundled)": ("street", None),
    "SegFormer-B0": ("segformer", segformer([32, 64, 160, 256], [2, 2, 2, 2], 256)),
    "SegFormer-B5": ("segformer", segformer([64, 128, 320, 512], [3, 6, 40, 3], 768)),
    "UPerNet ConvNeXt-T": ("upernet", upernet),
    "DPT ViT-L": ("dpt", dpt),
    "Mask2Former Swin-T": ("mask2former", on_swin("Mask2Former", "tiny", num_labels=19)),
    "Mask2Former Swin-L": ("mask2former", on_swin("Mask2Former", "large", num_labels=19)),
    "MaskFormer Swin-B": ("maskformer", on_swin("MaskFormer", "base", num_labels=150)),
    "OneFormer Swin-L": ("oneformer", oneformer),
    "EoMT ViT-L 1024": ("eomt", eomt),
}
MASKS: dict[str, tuple[str, Callable[[Any, Path], Any] | None]] = {
    "compact (bundled)": ("compact", None),
    "SAM ViT-B": ("sam", sam("base")),
    "SAM ViT-L": ("sam", sam("large")),
    "SAM ViT-H": ("sam", sam("huge")),
    "SAM-HQ ViT-B": ("sam_hq", sam("base", "SamHQ")),
    "SAM-HQ ViT-L": ("sam_hq", sam("large", "SamHQ")),
    "SAM-HQ ViT-H": ("sam_hq", sam("huge", "SamHQ")),
    "SAM 2.1 tiny": ("sam2", sam2("tiny")),
    "SAM 2.1 small": ("sam2", sam2("small")),
    "SAM 2.1 base+": ("sam2", sam2("base+")),
    "SAM 2.1 large": ("sam2", sam2("large")),
    "EdgeTAM": ("edgetam", edgetam),
    "SAM 3 tracker": ("sam3", sam3),
}


def make(name: str, folder: Path) -> None:
    """Saves the family's model, with random weights."""
    import transformers

    builder = {**SEGMENTERS, **MASKS}[name][1]
    assert builder is not None
    builder(transformers, folder).save_pretrained(folder)
    settings = folder / "preprocessor_config.json"
    if not settings.exists():
        settings.write_text('{"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}')


def measure(name: str, folder: Path, runs: int) -> dict[str, Any]:
    """Loads and times a family.

    Returns:
        `million` parameters, `milliseconds` a thing, `peak_mib`.
    """
    import numpy as np
    import torch

    from oodseg import S2M
    from oodseg.core.build import build
    from oodseg.detectors.logit import LogitDetector
    from oodseg.io.images import resize, to_tensor
    from oodseg.masks.sam import SamSegmenter
    from oodseg.runs.timing import peak_mib
    from oodseg.segmenters.wrapped import WrappedSegmenter
    from oodseg.synth.drawn import draw_scene

    family, builder = {**SEGMENTERS, **MASKS}[name]
    image = draw_scene(np.random.default_rng(0), (HEIGHT // 2, WIDTH // 2), 3).image
    found: dict[str, Any] = {"milliseconds": {}}

    def timed(what: str, call: Callable[[], Any]) -> Any:
        laps: list[float] = []
        result, began = call(), time.perf_counter()
        while len(laps) < runs and (not laps or time.perf_counter() - began < SECONDS):
            start = time.perf_counter()
            call()
            laps.append((time.perf_counter() - start) * 1e3)
        found["milliseconds"][what] = round(median(laps), 1)
        return result

    with torch.inference_mode():
        if name in SEGMENTERS:
            spec = f"{family}:{folder}+energy" if builder else None
            detector: Any = (
                S2M.from_pretrained("street", "cpu").detector if spec is None else build("detectors", spec)
            )
            pixels = to_tensor(image)[None]
            timed("image", lambda: detector.score(pixels))
            network: Any = detector.segmenter if isinstance(detector, LogitDetector) else detector
        else:
            masks = (
                build("masks", f"{family}:{folder}")
                if builder
                else S2M.from_pretrained("street", "cpu").masks
            )
            pixels = to_tensor(resize(image, HEIGHT, WIDTH))
            embedding = timed("encoder", lambda: masks.embed(pixels))
            corner = torch.rand(max(BOXES), 2) * torch.tensor([WIDTH * 0.7, HEIGHT * 0.7])
            boxes = torch.cat([corner, corner + torch.tensor([WIDTH * 0.15, HEIGHT * 0.25])], 1)
            for count in BOXES:
                timed(f"{count} boxes", partial(masks.segment, embedding, boxes[:count]))
            network = masks
    if isinstance(network, WrappedSegmenter):
        network = network.network
    elif isinstance(network, SamSegmenter):
        network = network.model
    found["million"] = round(sum(each.numel() for each in network.parameters()) / 1e6, 1)
    found["peak_mib"] = peak_mib()
    return found


def in_process(name: str, options: argparse.Namespace) -> dict[str, Any] | str:
    """Makes and measures a family in processes of its own; returns a sentence where that fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, __file__, "--runs", str(options.runs), "--only", name]
    bundled = {**SEGMENTERS, **MASKS}[name][1] is None
    with tempfile.TemporaryDirectory() as folder:
        try:
            for step in ["--measure"] if bundled else ["--make", "--measure"]:
                done = subprocess.run(
                    [*command, step, folder],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=options.timeout,
                    check=False,
                )
                if done.returncode:
                    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:120]
        except subprocess.TimeoutExpired:
            return f"more than {options.timeout} s"
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(title: str, names: list[str], columns: list[str], options: argparse.Namespace) -> None:
    if not names:
        return
    print(f"\n| {title} | million parameters | {' | '.join(f'{each}, ms' for each in columns)} | peak MiB |")
    print("|---|" + "---:|" * (len(columns) + 2))
    for name in names:
        found = in_process(name, options)
        if isinstance(found, str):
            print(f"| {name} | {found} |" + " |" * (len(columns) + 1), flush=True)
            continue
        times = " | ".join(f"{found['milliseconds'][each]:,.0f}" for each in columns)
        print(f"| {name} | {found['million']:.1f} | {times} | {found['peak_mib']:,} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME", help="one family")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each thing, after one to warm up")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds a family")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = [*SEGMENTERS, *MASKS]
    if options.only is not None and options.only not in known:
        parser.error(f"there is no family '{options.only}'; choose one of: {', '.join(known)}")
    if options.make is not None:
        make(options.only, options.make)
        return
    if options.measure is not None:
        print(json.dumps(measure(options.only, options.measure, options.runs)))
        return
    import torch
    import transformers

    print(
        f"{options.threads} threads of {os.cpu_count()} cores ({torch.backends.cpu.get_cpu_capability()}), "
        f"torch {torch.__version__}, transformers {transformers.__version__}; random weights"
    )
    chosen = [options.only] if options.only is not None else known
    table("segmenter, image 640x360", [n for n in chosen if n in SEGMENTERS], ["image"], options)
    boxes = [f"{count} boxes" for count in BOXES]
    table("promptable model, 1280x720", [n for n in chosen if n in MASKS], ["encoder", *boxes], options)


if __name__ == "__main__":
    main()
