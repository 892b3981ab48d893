"""Risk over coverage: the error among the images that are kept when the least trusted ones are put aside.

The yardstick of failure detection on images (Zenk et al., Medical Image Analysis 2025): it asks for what an
estimate is used for, and punishes both a segmenter that fails and a judge that does not notice. All risks are
losses, such as one minus the true IoU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.bootstrap import resample_weights

F64 = NDArray[np.float64]


def risk_coverage(
    confidence: NDArray[Any], risk: NDArray[Any], weights: NDArray[Any] | None = None
) -> tuple[F64, F64]:
    """Computes the mean risk of the k most trusted images, for every k (Geifman and El-Yaniv, NeurIPS 2017).

    Images of equal confidence come in no order of their own: the mean over all their orders is taken.

    Args:
        confidence: Float `[N]`, higher = kept longer, without NaN.
        risk: Float `[N]`, the loss of every image.
        weights: Float `[N]`, > 0: how much each image counts in the mean risk; None for all the same.

    Returns:
        Coverage k / N, ascending to 1, and the mean risk, both float64 `[N]`.

    Raises:
        ValueError: Shapes differ.
    """
    known, loss = np.asarray(confidence, np.float64), np.asarray(risk, np.float64)
    counts = np.ones_like(loss) if weights is None else np.asarray(weights, np.float64)
    if not known.shape == loss.shape == counts.shape or known.ndim != 1:
        raise ValueError(
            f"confidence, risk and weights must all be [N]: {known.shape}, {loss.shape} and {counts.shape}"
        )
    _, group = np.unique(-known, return_inverse=True)
    sizes = np.bincount(group)

    def shared(values: F64) -> F64:
        """Gives every image the mean of those of its confidence, and adds up in the order of confidence."""
        return np.cumsum(np.repeat(np.bincount(group, values) / sizes, sizes))

    coverage = np.arange(1, loss.size + 1) / max(loss.size, 1)
    return coverage, shared(loss * counts) / shared(counts)


def risk_coverage_band(
    confidence: NDArray[Any],
    risk: NDArray[Any],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    points: int = 50,
) -> tuple[F64, F64, F64]:
    """Computes a bootstrap interval of the risk-coverage curve at every coverage, over images.

    Args:
        confidence: See `risk_coverage`.
        risk: See `risk_coverage`.
        resamples: Number of resampled sets.
        seed: Same seed, same sets.
        level: Share of the sets whose risk lies within, at each coverage by itself.
        points: Number P of coverages, evenly spread up to 1.

    Returns:
        Coverage, lower and upper end, float64 `[P]` each.

    Raises:
        ValueError: Shapes differ, or there is no image.
    """
    known, loss = np.asarray(confidence, np.float64), np.asarray(risk, np.float64)
    wanted = np.linspace(1 / points, 1, points)
    curves = []
    for weights in resample_weights(len(known), resamples, seed):
        rows = np.repeat(np.arange(len(known)), weights.astype(np.int64))
        curves.append(np.interp(wanted, *risk_coverage(known[rows], loss[rows])))
    low, high = np.quantile(np.array(curves), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return wanted, low, high


def aurc(confidence: NDArray[Any], risk: NDArray[Any]) -> float:
    """Computes the area under the risk-coverage curve: the mean over all coverages of the mean risk kept.

    Takes what `risk_coverage` takes; NaN without an image.
    """
    curve = risk_coverage(confidence, risk)[1]
    return float(curve.mean()) if curve.size else float("nan")


def excess_aurc(confidence: NDArray[Any], risk: NDArray[Any]) -> float:
    """Computes AURC above that of the order by true risk, the best possible one (Geifman et al., ICLR 2019).

    0 for a perfect order, whatever the segmenter. Takes what `risk_coverage` takes; NaN without an image.
    """
    return aurc(confidence, risk) - aurc(-np.asarray(risk, np.float64), risk)
