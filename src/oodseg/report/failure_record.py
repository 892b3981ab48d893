"""Keeps the summary of one assessed image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oodseg.core.taxonomy import BACKGROUND

if TYPE_CHECKING:
    from oodseg.failures import Assessment


@dataclass(frozen=True)
class FailureRecord:
    """Summarises a finished image for its run.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        mean: Estimated mean IoU (Dice) of the predicted classes, background left out; None if there are none.
        by_class: Estimated IoU (Dice) of every predicted class, background left out.
        pixels: Predicted pixels of these classes.
        wrong: Expected share of wrong pixels among those that have a class, 0..1.
        panel: Width and height of the panel, pixels.
        milliseconds: Reading to assessment.
        interval: Lower and upper end of the interval of the true mean; None without one.
    """

    height: int
    width: int
    mean: float | None
    by_class: Mapping[str, float]
    pixels: Mapping[str, int]
    wrong: float
    panel: Sequence[int]
    milliseconds: float
    interval: Sequence[float] | None = None


def record_of(
    assessment: Assessment,
    classes: Sequence[str],
    panel: tuple[int, int],
    milliseconds: float,
) -> FailureRecord:
    """Condenses an assessment to its record.

    Args:
        assessment: What the failure detector says about the image.
        classes: Names of the classes; estimates of the background are left out.
        panel: Width and height of the panel, pixels.
        milliseconds: Reading to assessment.
    """
    counts = np.bincount(assessment.labels.ravel(), minlength=len(classes))
    estimated = {
        name: round(float(value), 4)
        for name, value, count in zip(classes, assessment.class_quality, counts, strict=False)
        if count and not math.isnan(value) and name != BACKGROUND
    }
    if classes[0] == BACKGROUND:
        mean = float(np.mean(list(estimated.values()))) if estimated else None
    else:
        mean = None if math.isnan(assessment.mean_quality) else float(assessment.mean_quality)
    return FailureRecord(
        assessment.labels.shape[0],
        assessment.labels.shape[1],
        None if mean is None else round(mean, 4),
        estimated,
        {name: int(counts[classes.index(name)]) for name in estimated},
        round(assessment.wrong, 4),
        panel,
        round(milliseconds, 1),
        None if assessment.interval is None else tuple(round(each, 4) for each in assessment.interval),
    )
