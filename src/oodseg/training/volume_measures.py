"""Measures failure detectors for volumes on scans whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.intervals import StructureIntervals
from oodseg.core.parts import Assessment, Judge
from oodseg.core.progress import Progress, track
from oodseg.core.taxonomy import BACKGROUND
from oodseg.failures.structures import volume_dice
from oodseg.io.images import to_tensor
from oodseg.metrics.conformal import conformal_quantile
from oodseg.metrics.failure import FailureCurve, image_dice, image_failure_metrics

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]


class JudgedSlice(Protocol):
    """A slice with its truth and the labels to judge."""

    @property
    def case(self) -> str:
        """The scan that it was cut from."""

    def read(self) -> tuple[U8, U8]:
        """Reads the image, uint8 `[H, W, 3]`, and the true classes, uint8 `[H, W]`."""
        ...

    def labels(self, image: Tensor) -> Tensor | None:
        """Returns the labels to judge, integers `[H, W]`, of an image float `[3, H, W]`.

        None is for those of the judge's own segmenter.
        """
        ...


@dataclass
class _Scan:
    """Holds what is counted of a scan, slice by slice."""

    estimates: list[_SliceEstimate] = field(default_factory=list)
    both: F64 = field(default_factory=lambda: np.zeros(1))
    total: F64 = field(default_factory=lambda: np.zeros(1))
    real: F64 = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True)
class _SliceEstimate:
    by_class: Mapping[str, float]
    pixels: Mapping[str, int]


@dataclass(frozen=True)
class MeasuredVolumes:
    """Estimated and true Dice of the structures of volumes, and figures of slices.

    Attributes:
        structures: Names of the S structures.
        estimated: Float64 `[N, S]` in 0..1; NaN where a structure is not predicted.
        true: Float64 `[N, S]` in 0..1; NaN where the truth lacks the structure.
        cases: Names of the N scans.
        figures: Of pixels and slices, as `PixelFailureMetrics` and `ImageFailureMetrics` name them, and under
            `volume_...` those of whole volumes, with Dice in the place of IoU; JSON-able.
    """

    structures: tuple[str, ...]
    estimated: F64
    true: F64
    cases: tuple[str, ...]
    figures: Mapping[str, float | int]

    def intervals(self, level: float, data: str) -> StructureIntervals | None:
        """Fits the intervals of the structures' Dice (`StructureIntervals`); None with too few scans.

        Args:
            level: Probability that an interval is to hold the truth of a new scan, in 0..1.
            data: What the scans are, for people.
        """
        reach, least = {}, len(self.cases)
        for name, guess, truth in zip(self.structures, self.estimated.T, self.true.T, strict=True):
            known = ~np.isnan(guess) & ~np.isnan(truth)
            bound = conformal_quantile(np.abs(guess - truth)[known], level)
            if np.isfinite(bound):
                reach[name], least = round(bound, 4), min(least, int(known.sum()))
        return StructureIntervals(level, reach, least, data) if reach else None


def measure_volumes(
    detector: Judge, slices: Sequence[JudgedSlice], progress: Progress | None = None
) -> MeasuredVolumes:
    """Measures a detector on slices whose truth is known, and on the volumes that they make up.

    Args:
        detector: Its qualities are Dice.
        slices: All slices that count of every scan.
        progress: Told after every slice.
    """
    curve, scans = FailureCurve(), dict[str, _Scan]()
    things = [k for k, name in enumerate(detector.classes) if name != BACKGROUND]
    estimated, true = [], []
    for each in track(slices, "measuring", progress):
        image, truth = each.read()
        pixels = to_tensor(image)
        found = detector.assess(pixels, each.labels(pixels))
        curve.update(found.error, found.labels != truth)
        estimated.append(found.class_quality[things])
        true.append(image_dice(found.labels, truth, len(detector.classes))[things])
        _count(scans.setdefault(each.case, _Scan()), found, truth, detector.classes)
    names = tuple(detector.classes[k] for k in things)
    guess, truths = _of_scans(scans, detector.classes, names)
    slices_measured = image_failure_metrics(np.stack(estimated), np.stack(true))
    volumes = image_failure_metrics(guess, truths)
    figures = {**asdict(curve.compute()), **asdict(slices_measured)}
    figures |= {f"volume_{name}": value for name, value in asdict(volumes).items()}
    return MeasuredVolumes(names, guess, truths, tuple(scans), _plain(figures))


def _count(scan: _Scan, found: Assessment, truth: U8, classes: Sequence[str]) -> None:
    """Adds a slice to its scan."""
    count = len(classes)
    predicted, real = (np.bincount(each.ravel(), minlength=count)[:count] for each in (found.labels, truth))
    right = np.bincount(truth[found.labels == truth], minlength=count)[:count]
    scan.both, scan.total = scan.both + 2.0 * right, scan.total + (predicted + real)
    scan.real = scan.real + real
    known = [k for k in range(count) if predicted[k] and not np.isnan(found.class_quality[k])]
    scan.estimates.append(
        _SliceEstimate(
            {classes[k]: float(found.class_quality[k]) for k in known},
            {classes[k]: int(predicted[k]) for k in known},
        )
    )


def _of_scans(scans: Mapping[str, _Scan], classes: Sequence[str], names: Sequence[str]) -> tuple[F64, F64]:
    """Returns the estimated and true Dice of every scan's structures, float64 `[N, S]` each."""
    guess, truths = [], []
    things = [classes.index(name) for name in names]
    for scan in scans.values():
        dice = volume_dice(scan.estimates, classes)
        guess.append([np.nan if dice[name] is None else dice[name] for name in names])
        with np.errstate(invalid="ignore", divide="ignore"):
            truths.append(np.where(scan.real > 0, scan.both / scan.total, np.nan)[things])
    return np.array(guess, np.float64), np.array(truths, np.float64)


def _plain(figures: Mapping[str, Any]) -> dict[str, float | int]:
    return {
        name: value if isinstance(value, int) else round(float(value), 4)
        for name, value in figures.items()
        if isinstance(value, int | float) and np.isfinite(value)
    }
