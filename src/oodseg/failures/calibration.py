"""Turns what a failure detector measures into probabilities and qualities, by fits on labelled pictures.

Pixels: `error = sigmoid(slope * score + offset)` (Platt scaling). Classes: IoU is linear in what the
detector says of a class. Both keep the order of pixels and of pictures within a class. Pictures: the mean IoU
is over the classes in the truth, which nobody knows, so every class counts by the chance that the truth holds
it; where it was not predicted its IoU is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 10  # pictures below which a class takes the fit of all classes together
_STEPS = 30


@dataclass(frozen=True)
class Calibration:
    """The two fits; as it stands by default it changes nothing.

    Attributes:
        slope: Factor of a pixel's score, > 0.
        offset: What is added to it.
        class_lines: Slope and offset of every class's quality; empty to leave them as they are.
        presence: Chance of every class to be in a picture's truth where it is not predicted, and where it is;
            empty for 0 and 1.
    """

    slope: float = 1.0
    offset: float = 0.0
    class_lines: list[tuple[float, float]] = field(default_factory=list)
    presence: list[tuple[float, float]] = field(default_factory=list)

    def error(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Probability of being wrong, float32 in 0..1 of the scores' shape."""
        logits = np.clip(self.slope * scores.astype(np.float64) + self.offset, -60, 60)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    def quality(self, measured: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """IoU of every class, float32 `[C]` in 0..1; NaN stays NaN."""
        if not self.class_lines:
            return np.asarray(np.clip(measured, 0, 1), np.float32)
        slopes, offsets = np.array(self.class_lines).T
        return np.asarray(np.clip(slopes * measured + offsets, 0, 1), np.float32)

    def mean_quality(self, quality: NDArray[np.floating[Any]]) -> float:
        """Mean IoU to expect of a picture; NaN where no class is expected in it.

        Args:
            quality: Float `[C]` of `quality`, NaN where a class is not predicted.
        """
        predicted = ~np.isnan(quality)
        presence = np.array(self.presence or [(0.0, 1.0)] * len(quality))
        chance = np.where(predicted, presence[:, 1], presence[:, 0])
        if not chance.sum() > 0:
            return float("nan")
        return float(chance @ np.nan_to_num(quality.astype(np.float64), nan=0.0) / chance.sum())


def fit_pixels(scores: NDArray[Any], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """Fits slope and offset of a logistic regression by Newton's method.

    Args:
        scores: Float `[N]`, higher = more likely wrong.
        wrong: Bool `[N]`.

    Returns:
        Slope (positive: the order is kept) and offset, in units of the scores.
    """
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    x, y = (scores.astype(np.float64) - centre) / spread, wrong.astype(np.float64)
    rows = np.stack([x, np.ones_like(x)])
    line = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(line @ rows, -60, 60)))
        # A faint pull towards zero keeps perfectly separable scores from running away.
        slope = rows @ (p - y) + 1e-3 * line
        curve = (rows * (p * (1 - p))) @ rows.T + 1e-3 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        line = line - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    factor = max(line[0], 1e-3) / spread
    return float(factor), float(line[1] - factor * centre)


def fit_classes(measured: NDArray[Any], true: NDArray[Any]) -> list[tuple[float, float]]:
    """Fits quality against what the detector says, one line a class.

    Args:
        measured: Float `[N, C]`; NaN where a class was not predicted.
        true: Float `[N, C]` in 0..1; NaN where the picture lacks the class.

    Returns:
        Slope (0 or more: the order is kept) and offset of each of the C classes; none if there is nothing
        to fit.
    """
    known = ~np.isnan(measured) & ~np.isnan(true)
    if not known.any():
        return []
    common = _line(measured[known], true[known])
    lines = []
    for index in range(measured.shape[1]):
        rows = known[:, index]
        enough = rows.sum() >= _FEW
        lines.append(_line(measured[rows, index], true[rows, index]) if enough else common)
    return lines


def fit_presence(predicted: NDArray[np.bool_], present: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Fits how often the truth holds a class that was not predicted, and one that was.

    Args:
        predicted: Bool `[N, C]`.
        present: Bool `[N, C]`: in the truth.

    Returns:
        For `Calibration(presence=...)`: shares of the N pictures, and of one made-up picture more in which
        prediction and truth agree.
    """

    def share(rows: NDArray[np.bool_], agreed: float) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = ((present & rows).sum(0) + agreed) / (rows.sum(0) + 1)
        return shares

    missed, found = share(~predicted, 0.0), share(predicted, 1.0)
    return [(float(low), float(high)) for low, high in zip(missed, found, strict=True)]


def _line(x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    away = x - x.mean()
    slope = max(0.0, float(away @ (y - y.mean()) / (away @ away + 1e-6)))
    return slope, float(y.mean() - slope * x.mean())
