"""Measures failure detectors and prints their figures, for `benchmarks/failures.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from oodseg.core.parts import Judge
from oodseg.io.images import to_tensor
from oodseg.metrics.failure import (
    FailureCurve,
    ImageFailureMetrics,
    image_failure_intervals,
    image_failure_metrics,
    image_iou,
)
from oodseg.training.labelled import Labelled

IGNORE = 255
OURS, POOLED = "synthcp", "second_opinion"
PIXELS = ("AUPR-Error", "AUPR-Success", "AUROC", "FPR95")
IMAGES = {
    "mae": "MAE",
    "std": "STD",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "aurc": "AURC",
    "excess_aurc": "excess AURC",
    "calibration_error": "calibration error",
}
MEANS = {f"mean_{name}": f"mIoU {title}" for name, title in IMAGES.items() if name != "std"}
TARGETS = ("what", "found", "wanted", "")
CONSOLE = Console(stderr=True)


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    head = list(head)
    print(f"\n## {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def verdict(what: str, found: float, wanted: float) -> tuple[str, str, str, str]:
    return what, f"{found:.3f}", f"{wanted:.3f}", "reached" if found >= wanted else "**not reached**"


@dataclass
class Found:
    """What was measured of one failure detector: pixel figures, image figures, and their 95 % intervals."""

    pixels: tuple[float, ...]
    images: ImageFailureMetrics
    intervals: dict[str, tuple[float, float]]

    def with_interval(self, name: str) -> str:
        """Gives one image figure as text, its interval behind it."""
        low, high = self.intervals[name]
        return f"{vars(self.images)[name]:.3f} ({low:.3f}–{high:.3f})"


def assess(detector: Judge, images: Sequence[Labelled], name: str) -> Found:
    """Measures one failure detector on the test images."""
    count = len(detector.classes)
    curve, guessed, true, means = FailureCurve(), [], [], []
    for each in track(images, name, console=CONSOLE, transient=True):
        image, truth = each.read()
        found = detector.assess(to_tensor(image))
        curve.update(found.error, found.labels != truth, truth == IGNORE)
        guessed.append(found.class_quality)
        true.append(image_iou(found.labels, truth, count))
        means.append(found.mean_quality)
    pixels = curve.compute()
    rows = np.stack(guessed), np.stack(true), np.array(means)
    return Found(
        (pixels.aupr_error, pixels.aupr_success, pixels.auroc, pixels.fpr95),
        image_failure_metrics(*rows),
        image_failure_intervals(*rows),
    )


def verdicts_on(found: Mapping[str, Found]) -> Iterator[tuple[str, str, str, str]]:
    """Compares SynthCP, with second opinions where they were asked for, with the best of the others."""
    ours, rest = found[OURS], [each for name, each in found.items() if name not in (OURS, POOLED)]
    best = max(each.pixels[0] for each in rest)
    yield verdict("AUPR-Error, 6 % above the best baseline", ours.pixels[0], 1.06 * best)
    if POOLED in found:
        pooled = found[POOLED].pixels[0]
        yield verdict("AUPR-Error with second opinions, 6 % above the best baseline", pooled, 1.06 * best)
    pearson = ours.images.mean_pearson
    yield verdict("mIoU Pearson, at least 0.5", pearson, 0.5)
    best = max(each.images.mean_pearson for each in rest)
    yield verdict("mIoU Pearson, 0.07 above the best baseline", pearson, best + 0.07)
    least = min(each.images.mean_aurc for each in rest)
    yield verdict("1 - mIoU AURC, above all baselines", 1 - ours.images.mean_aurc, 1 - least)


def show(found: Mapping[str, Found], where: str, classes: Sequence[str]) -> None:
    """Prints the tables of failure detection."""
    rows = [[name, *(f"{value:.3f}" for value in each.pixels)] for name, each in found.items()]
    table(f"Wrong pixels: {where}", ["detector", *PIXELS], rows)
    for title, columns in (("Quality of a class", IMAGES), ("Quality of an image", MEANS)):
        rows = [[name, *map(each.with_interval, columns)] for name, each in found.items()]
        table(f"{title}: {where}", ["detector", *columns.values()], rows)
    for figure in ("pearson", "aurc"):
        rows = [[name, *(f"{v:.3f}" for v in each.images.by_class[figure])] for name, each in found.items()]
        table(f"{IMAGES[figure]} by class", ["detector", *classes], rows)
