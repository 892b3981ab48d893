"""Measures the time saved by running the promptable segmenter's encoder concurrently with the detector.

    python benchmarks/concurrency.py [--device auto] [--masks sam2:FOLDER] [--threads 2] [--runs 10]

Prints the detector alone, the encoder alone, one after the other, and both at once, as multiples of the
detector's time: the paper's S2M costs 1.27 of its detector. Without `--masks` the encoder is a SAM of 7.7
million parameters with random weights, at 512 pixels; without `--detector` the detector is `street`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from oodseg import S2M
from oodseg.core.build import build
from oodseg.core.devices import choose_device
from oodseg.io.images import resize, to_tensor
from oodseg.nn.concurrency import encoder_stream, in_background
from oodseg.synth.drawn import draw_scene

WIDTH, HEIGHT = 1280, 720


def small_sam() -> Any:
    """A SAM with a vision transformer of 6 layers, saved and loaded as a folder is."""
    from transformers import SamConfig, SamImageProcessor, SamModel

    vision = {
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 3,
        "image_size": 512,
        "global_attn_indexes": [2, 5],
        "mlp_dim": 768,
        "num_pos_feats": 96,
    }
    config = SamConfig(vision_config=vision, prompt_encoder_config={"image_size": 512})
    with tempfile.TemporaryDirectory() as folder:
        SamModel(config).save_pretrained(folder)
        square = {"height": 512, "width": 512}
        SamImageProcessor(size={"longest_edge": 512}, pad_size=square).save_pretrained(folder)
        return build("masks", f"sam:{folder}")


def timed(call: Callable[[], Any], device: str, runs: int) -> float:
    """Median milliseconds, after three calls to warm up."""
    laps = []
    for _ in range(runs + 3):
        start = time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        laps.append((time.perf_counter() - start) * 1e3)
    return median(laps[3:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--detector", help="as for `oodseg predict`")
    parser.add_argument("--masks", help="as for `oodseg predict`")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    given = options.masks if options.masks is not None else small_sam()
    s2m = S2M.from_pretrained("street", device, detector=options.detector or "bundled", masks=given)
    detector, masks = s2m.detector, s2m.masks
    assert detector is not None
    image = draw_scene(np.random.default_rng(0), (HEIGHT // 2, WIDTH // 2), 3).image
    small, whole = to_tensor(image)[None].to(device), to_tensor(resize(image, HEIGHT, WIDTH)).to(device)

    stream = encoder_stream(device)

    def detect() -> Any:
        with torch.inference_mode():
            return detector.score(small)

    def encode() -> Any:
        with torch.inference_mode():
            return masks.embed(whole)

    def encode_aside() -> Any:
        with stream:
            return encode()

    def both() -> None:
        nonlocal stream
        stream = encoder_stream(device)
        with in_background(encode_aside):
            detect()

    times = {
        "detector alone": timed(detect, device, options.runs),
        "encoder alone": timed(encode, device, options.runs),
        "one after the other": timed(lambda: (detect(), encode()), device, options.runs),
        "both at once": timed(both, device, options.runs),
    }
    name = (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else f"{options.threads} CPU threads"
    )
    print(f"{name}, {detector.name} at 640x360, {masks.name} at {WIDTH}x{HEIGHT}, {options.runs} runs")
    print("\n| | ms | of the detector |\n|---|---:|---:|")
    for what, value in times.items():
        print(f"| {what} | {value:.1f} | {value / times['detector alone']:.2f} |")


if __name__ == "__main__":
    main()
