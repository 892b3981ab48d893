"""Outlines of `compact` against `grabcut` and the plain box, from ground-truth boxes jittered by 10 %.

Objects are held-out DUTS objects in natural images and, with `--benchmarks`, the connected components
(100 pixels and more) of the anomalies in benchmark folders:

    python benchmarks/masks.py --data DATA --benchmarks FOLDER

`DATA` is the folder of the training data, `FOLDER` holds one folder a benchmark. With the anomaly score as a
second prompt (`compact + score`) wherever the pipeline has a detector.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from oodseg.core.errors import WeightsError
from oodseg.core.parts import statistics_of
from oodseg.data import open_dataset
from oodseg.data.duts import DutsIndex
from oodseg.data.frames import ANOMALY, IGNORE
from oodseg.io.images import read_image, to_tensor
from oodseg.masks.box import BoxSegmenter
from oodseg.masks.compact import CompactSegmenter
from oodseg.masks.grabcut import GrabCutSegmenter
from oodseg.masks.growth import tight_box
from oodseg.pipeline import S2M
from oodseg.training.mask_samples import jitter_box, split_objects

JITTER = 0.1
SMALLEST = 100

Case = tuple[NDArray[np.uint8], list[NDArray[np.bool_]], NDArray[np.bool_]]


@dataclass
class Tally:
    """Holds one segmenter's results on one set."""

    both: list[int] = field(default_factory=list)
    either: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def cells(self) -> list[str]:
        """Mean and pooled IoU in percent, and milliseconds per object."""
        both, either = np.array(self.both), np.array(self.either)
        mean = float((both / np.maximum(either, 1)).mean())
        pooled = both.sum() / max(either.sum(), 1)
        return [f"{100 * mean:.1f}", f"{100 * pooled:.1f}", f"{1000 * self.seconds / len(both):.1f}"]


def duts_cases(root: Path, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """One object of each of `count` held-out images."""
    items = DutsIndex(root / "duts_tr", "held_out").items
    for index in sorted(rng.permutation(len(items))[:count]):
        mask = items[index].read_mask()
        parts = split_objects(mask)
        yield items[index].read_image(), [parts[int(rng.integers(len(parts)))]], np.ones_like(mask)


def benchmark_cases(root: Path, count: int | None) -> Iterator[Case]:
    """The anomalies of a benchmark folder, image by image."""
    for frame in open_dataset(root).frames[:count]:
        label = frame.label
        found, parts, stats, _ = cv2.connectedComponentsWithStats((label == ANOMALY).astype(np.uint8))
        large = [i for i in range(1, found) if stats[i, cv2.CC_STAT_AREA] >= SMALLEST]
        if large and frame.image_path is not None:
            yield read_image(frame.image_path), [parts == i for i in large], label != IGNORE


def measure(
    cases: Iterator[Case], segmenters: dict[str, Any], pipeline: S2M | None, rng: np.random.Generator
) -> dict[str, Tally]:
    tallies = {name: Tally() for name in segmenters}
    if pipeline is not None:
        tallies["compact + score"] = Tally()
    for image, objects, judged in cases:
        height, width = judged.shape
        jittered = [jitter_box(tight_box(each), JITTER, width, height, rng) for each in objects]
        boxes = torch.from_numpy(np.stack(jittered))
        pixels = to_tensor(image)
        scores = None if pipeline is None else score(pipeline, image)
        for name, tally in tallies.items():
            segmenter = segmenters[name.partition(" ")[0]]
            began = time.perf_counter()
            masks = segmenter.segment(segmenter.embed(pixels), boxes, scores if "+" in name else None)
            tally.seconds += time.perf_counter() - began
            for drawn, wanted in zip(masks.numpy(), objects, strict=True):
                tally.both.append(int((drawn & wanted & judged).sum()))
                tally.either.append(int(((drawn | wanted) & judged).sum()))
    return tallies


def score(pipeline: S2M, image: NDArray[np.uint8]) -> torch.Tensor:
    """Normalised anomaly scores at the pipeline's working size."""
    detector = pipeline.detector
    assert detector is not None
    return statistics_of(detector)(pipeline.detector_score(image))


def load_pipeline(name: str) -> S2M | None:
    try:
        return S2M.from_pretrained(name)
    except WeightsError:
        return None


def load_compact(path: Path) -> CompactSegmenter:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        network = CompactSegmenter(**json.loads(file.metadata()["config"]))
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return network


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--benchmarks", type=Path, help="folder of benchmark folders")
    parser.add_argument("--pipeline", default="street", help="name or folder of the pipeline")
    parser.add_argument("--weights", type=Path, help="weights of `compact` in place of the pipeline's")
    parser.add_argument("--objects", type=int, default=300, help="DUTS objects")
    parser.add_argument("--frames", type=int, help="at most so many images a benchmark")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    pipeline = load_pipeline(options.pipeline)
    if options.weights is not None:
        compact = load_compact(options.weights)
    elif pipeline is not None:
        if not isinstance(pipeline.masks, CompactSegmenter):
            parser.error(f"the masks of '{options.pipeline}' are no compact network: give --weights FILE")
        compact = pipeline.masks
    else:
        parser.error(f"there is no pipeline '{options.pipeline}': give --weights FILE")
    segmenters = {"box": BoxSegmenter(), "grabcut": GrabCutSegmenter(), "compact": compact}
    compact.use_scores = True  # the rows without "+" hand none in
    rng = np.random.default_rng(options.seed)
    sets = {"DUTS, held out": duts_cases(options.data, options.objects, rng)}
    if options.benchmarks is not None:
        folders = sorted(each for each in options.benchmarks.iterdir() if each.is_dir())
        sets |= {each.name: benchmark_cases(each, options.frames) for each in folders}
    table = Table(title=f"Outlines from boxes jittered by {100 * JITTER:.0f} %, seed {options.seed}")
    for column in ("set", "objects", "segmenter", "mean IoU", "pooled IoU", "ms an object"):
        table.add_column(column, justify="left" if column in {"set", "segmenter"} else "right")
    for title, cases in sets.items():
        for name, tally in measure(cases, segmenters, pipeline, rng).items():
            table.add_row(title, str(len(tally.both)), name, *tally.cells())
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
