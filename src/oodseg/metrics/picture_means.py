"""Pixel figures averaged over pictures, for comparison with work that reports them so.

StreetHazards' evaluation code and SynthCP (Xia et al., ECCV 2020, arXiv 2003.08440) measure every picture
that holds an anomaly by itself and average. Such means are another quantity than the pooled figures of
`PixelCurve`: they carry `picture_mean` in their names and stand in no table beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.pixel import pixel_metrics


class PictureMeans:
    """Collects pictures; those without an anomaly, or with nothing else, are left out."""

    def __init__(self) -> None:
        """Starts empty."""
        self._rows: list[tuple[float, float, float]] = []

    def update(self, score: NDArray[Any], label: NDArray[np.uint8]) -> None:
        """Adds one picture; arguments as in `PixelCurve.update`."""
        found = pixel_metrics(score, label)
        if found.positives and found.negatives:
            self._rows.append((found.auprc, found.fpr95, found.auroc))

    def compute(self) -> dict[str, float]:
        """Returns `auprc_picture_mean`, `fpr95_picture_mean`, `auroc_picture_mean`; NaN without a picture."""
        means = np.mean(self._rows, axis=0) if self._rows else [float("nan")] * 3
        names = ("auprc_picture_mean", "fpr95_picture_mean", "auroc_picture_mean")
        return {name: float(value) for name, value in zip(names, means, strict=True)}
