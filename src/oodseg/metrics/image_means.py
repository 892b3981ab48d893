"""Pixel figures averaged over images, for comparison with work that reports them so.

StreetHazards' evaluation code and SynthCP (Xia et al., ECCV 2020, arXiv 2003.08440) measure every image
that holds an anomaly by itself and average. Such means are another quantity than the pooled figures of
`PixelCurve`: they carry `image_mean` in their names and stand in no table beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.pixel import pixel_metrics


class ImageMeans:
    """Collects images; those without an anomaly, or with nothing else, are left out."""

    def __init__(self) -> None:
        """Starts empty."""
        self._rows: list[tuple[float, float, float]] = []

    def update(self, score: NDArray[Any], label: NDArray[np.uint8]) -> None:
        """Adds one image; arguments as in `PixelCurve.update`."""
        found = pixel_metrics(score, label)
        if found.positives and found.negatives:
            self._rows.append((found.auprc, found.fpr95, found.auroc))

    def compute(self) -> dict[str, float]:
        """Returns `auprc_image_mean`, `fpr95_image_mean`, `auroc_image_mean`; NaN without an image."""
        means = np.mean(self._rows, axis=0) if self._rows else [float("nan")] * 3
        names = ("auprc_image_mean", "fpr95_image_mean", "auroc_image_mean")
        return {name: float(value) for name, value in zip(names, means, strict=True)}
