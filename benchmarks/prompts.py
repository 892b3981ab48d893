"""Boxes of the shipped prompt generator against thresholded components, on synthetic validation scenes.

Prints recall by object size, false boxes, AP, and the time a map takes:

    python benchmarks/prompts.py --data DATA --cache FOLDER

`DATA` is the folder of the training data; the score maps of the validation scenes are kept in `FOLDER`.
The threshold of the components is the best of several on these very scenes, which flatters them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.synth.scenes import SceneSampler
from oodseg.training.prompt_selection import collect, summary
from oodseg.training.score_cache import ScoreCache, cache_scores

SIZES = ((360, 640), (384, 512))
TIMED = ((360, 640), (512, 1024))
THRESHOLDS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
COLUMNS = (
    "recall50", "recall75", "recall50_small", "recall50_medium", "recall50_large",
    "precision50", "ap50", "false_per_picture", "false_per_empty",
)  # fmt: skip


def milliseconds(generator: Any, size: tuple[int, int], repeats: int = 15) -> float:
    """Median of `repeats` calls on a map with a few bumps, after three to warm up."""
    scores = torch.randn(1, 1, 8, 16, generator=torch.Generator().manual_seed(0)) * 3
    scores = torch.nn.functional.interpolate(scores, size, mode="bicubic")[:, 0]
    taken = []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        generator.propose(scores)
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
    samplers = [SceneSampler(options.data, size=size, split="val", seed=77) for size in SIZES]
    cache_scores(pipeline.detector, samplers, options.scenes, options.cache, seed=77, progress=True)
    cache = ScoreCache(options.cache)
    print(f"{len(cache)} scenes, {cache.box_counts.sum()} unknown objects\n")
    print(" " * 28 + "".join(f"{name:>19}" for name in COLUMNS))
    for channel, name in enumerate(cache.channels):
        plain = {
            threshold: summary(collect(ComponentPrompts(threshold).propose, cache, channel), 0.0)
            for threshold in THRESHOLDS
        }
        best = max(plain, key=lambda threshold: plain[threshold]["f1"])
        print(row(f"{name}: components > {best:g}", plain[best]))
        found = collect(pipeline.prompts.propose, cache, channel)
        print(row(f"{name}: {pipeline.prompts.name}", summary(found, 0.0)))
    print()
    for height, width in TIMED:
        slow = milliseconds(pipeline.prompts, (height, width))
        fast = milliseconds(ComponentPrompts(), (height, width))
        print(f"{width}x{height}: {slow:.1f} ms; components {fast:.1f} ms; {slow / fast:.0f} times")


if __name__ == "__main__":
    main()
