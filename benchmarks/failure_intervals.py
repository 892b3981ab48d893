"""Measures how often the intervals of a failure detector hold the truth of new images, and how wide they are.

    python benchmarks/failure_intervals.py --data DATA [--detector street] [--keep FILE.npz]

Prints Markdown: coverage and width on CamVid test, where intervals fitted on one random half are asked for
the other, 200 times over, which makes the halves exchangeable; beside them marginal intervals, which
know the same truths but not what the judge says; and the intervals fitted on the validation images, on
the test images: other drives, which no promise covers. --keep writes what the judge said, and reads it
the next time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from oodseg.evaluation.quality_intervals import JudgedImages, fit_intervals, judge_labelled
from oodseg.failures.storage import load_failure_detector
from oodseg.metrics.conformal import coverage
from oodseg.training.labelled import load_label_set

LEVELS = (0.8, 0.9, 0.95)
SPLITS = 200
QUALITIES = ("IoU", "Dice")


def judged_parts(data: Path, name: str, keep: Path | None) -> dict[str, JudgedImages]:
    """Judges the validation and the test images of the street label set, by split and quality."""
    if keep is not None and keep.is_file():
        with np.load(keep, allow_pickle=False) as file:
            return {key: JudgedImages(*file[key]) for key in file.files}
    images, judge = load_label_set("street", data), load_failure_detector(name)
    parts = {}
    for split, listed in (("val", images.val), ("test", images.test)):
        for quality in QUALITIES:
            shown = track(listed, f"{split}, {quality}", console=Console(stderr=True), transient=True)
            parts[f"{split} {quality}"] = judge_labelled(judge, (each.read() for each in shown), quality)
    if keep is not None:
        stacked: dict[str, Any] = {key: np.stack([j.mean, j.wrong, j.true]) for key, j in parts.items()}
        np.savez(keep, **stacked)
    return parts


def without_judge(judged: JudgedImages) -> JudgedImages:
    """The same truths, and nothing said of any image."""
    nothing = np.zeros(len(judged))
    return JudgedImages(nothing, nothing, judged.true)


def held(old: JudgedImages, new: JudgedImages, level: float, seed: int) -> tuple[float, float]:
    """Coverage and mean width on new images of intervals fitted on old ones."""
    low, high = new.intervals(fit_intervals(old, level, seed=seed))
    return coverage(low, high, new.true), float(np.mean(high - low))


def halves(judged: JudgedImages) -> Iterator[tuple[JudgedImages, JudgedImages, int]]:
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(judged))
        yield judged.take(order[: len(order) // 2]), judged.take(order[len(order) // 2 :]), seed


def row(found: NDArray[np.float64], marginal: NDArray[np.float64]) -> str:
    (share, width), spread = found.mean(0), found[:, 0].std()
    bare, wide = marginal.mean(0)
    return f"{share:.3f} ± {spread:.3f} | {width:.3f} | {bare:.3f} | {wide:.3f} | {width / wide:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with camvid/ and idd_lite/")
    parser.add_argument("--detector", default="street", help="bundled failure detector or folder")
    parser.add_argument("--keep", type=Path, metavar="FILE.npz", help="what the judge said")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parts = judged_parts(arguments.data, arguments.detector, arguments.keep)
    head = "coverage | width | marginal coverage | marginal width | of the marginal width"
    for quality in QUALITIES:
        val, test = parts[f"val {quality}"], parts[f"test {quality}"]
        print(f"\n## Mean {quality} of {len(test)} images of CamVid test\n")
        print(f"| fitted on | level | {head} |\n|---|---|---|---|---|---|---|")
        for level in LEVELS:
            found = np.array([held(old, new, level, seed) for old, new, seed in halves(test)])
            bare = [
                held(without_judge(old), without_judge(new), level, seed) for old, new, seed in halves(test)
            ]
            print(f"| the other half of them | {level} | {row(found, np.array(bare))} |")
        for level in LEVELS:
            seeds = range(SPLITS)
            found = np.array([held(val, test, level, seed) for seed in seeds])
            bare = [held(without_judge(val), without_judge(test), level, seed) for seed in seeds]
            print(
                f"| {len(val)} validation images of other drives | {level} | {row(found, np.array(bare))} |"
            )


if __name__ == "__main__":
    main()
