"""Boxes of the shipped prompt generator against thresholded components, on synthetic validation scenes.

Prints recall by object size, false boxes and AP at every operating point, with the detector's image features
and without, and the time a map takes:

    python benchmarks/prompts.py --data DATA --cache FOLDER

`DATA` is the folder of the training data; the score maps of the validation scenes are kept in `FOLDER`.
The threshold of the components is the best of several on these very scenes, which flatters them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from oodseg.core.progress import progress_bar
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.synth.scenes import SceneSampler
from oodseg.training.box_quality import collect, summary
from oodseg.training.scene_cache import cache_scenes
from oodseg.training.score_cache import ScoreCache, cache_scores
from oodseg.training.score_source import DetectorScores

SIZES = ((360, 640), (384, 512))
TIMED = ((360, 640), (512, 1024))
THRESHOLDS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
COLUMNS = (
    "recall50", "recall75", "recall50_small", "recall50_medium", "recall50_large",
    "precision50", "ap50", "false_per_image", "false_per_empty",
)  # fmt: skip


class Components:
    """`ComponentPrompts` as `collect` wants a generator: every box counts."""

    def __init__(self, threshold: float) -> None:
        self.candidates = ComponentPrompts(threshold).propose


def milliseconds(
    generator: Any, size: tuple[int, int], channels: Sequence[int] = (), repeats: int = 15
) -> float:
    """Median of `repeats` calls on a map with a few bumps, after three to warm up."""
    canvas = [-(-side // 64) * 64 for side in size]
    features = [
        torch.randn(1, each, *(side // stride for side in canvas))
        for each, stride in zip(channels, (8, 16), strict=False)
    ]
    scores = torch.randn(1, 1, 8, 16, generator=torch.Generator().manual_seed(0)) * 3
    scores = torch.nn.functional.interpolate(scores, size, mode="bicubic")[:, 0]
    taken = []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        generator.propose(scores, features or None)
        taken.append(time.perf_counter() - start)
    return 1000 * median(taken[3:])


def row(label: str, values: dict[str, float]) -> str:
    return f"{label:<28}" + "".join(f"{values[name]:>19.3f}" for name in COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the score maps")
    parser.add_argument("--pipeline", default="street", help="name or folder of the pipeline")
    parser.add_argument("--scenes", type=int, default=200)
    options = parser.parse_args()

    pipeline = S2M.from_pretrained(options.pipeline)
    prompts = pipeline.prompts
    if pipeline.detector is None or not isinstance(prompts, FasterRCNNPrompts):
        parser.error(f"{options.pipeline} needs a detector and a Faster R-CNN")
    samplers = [SceneSampler(options.data, size=size, split="val", seed=77) for size in SIZES]
    scenes, scores = options.cache / "scenes", options.cache / "scores"
    with progress_bar() as bar:
        cache_scenes(samplers, options.scenes, scenes, seed=77, progress=bar)
        source = DetectorScores(pipeline.detector)
        cache_scores(source, "val", scenes, [1] * len(SIZES), options.scenes, scores, progress=bar)
    cache = ScoreCache(scores)
    print(f"{len(cache)} scenes, {cache.box_counts.sum()} unknown objects\n")
    print(" " * 28 + "".join(f"{name:>19}" for name in COLUMNS))
    plain = {each: summary(collect(Components(each), cache), 0.0) for each in THRESHOLDS}
    best = max(plain, key=lambda threshold: plain[threshold]["f1"])
    print(row(f"components > {best:g}", plain[best]))
    for hidden in (True, False) if prompts.features else (True,):
        found = collect(prompts, cache, hidden)
        for point, least in prompts.reading(not hidden).operating_points.items():
            print(row(f"{'score' if hidden else 'with features'}, {point}", summary(found, least)))
    print()
    for height, width in TIMED:
        slow = milliseconds(prompts, (height, width), prompts.features)
        fast = milliseconds(ComponentPrompts(), (height, width))
        print(f"{width}x{height}: {slow:.1f} ms; components {fast:.1f} ms; {slow / fast:.0f} times")


if __name__ == "__main__":
    main()
