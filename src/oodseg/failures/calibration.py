"""Turns what a failure detector measures into probabilities and qualities, by fits on labelled images.

Pixels: `error = sigmoid(slope * score + offset)` (Platt scaling). Classes: IoU is linear in the
detector's estimate for a class. Both keep the order of pixels and of images within a class. Images: the
mean IoU is over the classes in the truth, which is unknown, so every class counts by its chance to be in
it; where it was not predicted its IoU is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 10  # images below which a class takes the fit of all classes together
_PULL = 1e-3  # towards zero, of slope and offset


@dataclass(frozen=True)
class Calibration:
    """The two fits; as it stands by default it changes nothing.

    Attributes:
        slope: Factor of a pixel's score, > 0.
        offset: What is added to it.
        class_lines: Slope and offset of every class's quality; empty to leave them as they are.
        presence: Chance of every class to be in an image's truth where it is not predicted, and where it is;
            empty for 0 and 1.
    """

    slope: float = 1.0
    offset: float = 0.0
    class_lines: list[tuple[float, float]] = field(default_factory=list)
    presence: list[tuple[float, float]] = field(default_factory=list)

    def error(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Computes the probability of being wrong, float32 in 0..1 of the scores' shape."""
        logits = np.clip(self.slope * scores.astype(np.float64) + self.offset, -60, 60)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    def quality(self, measured: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Computes the IoU of every class, float32 `[C]` in 0..1; NaN stays NaN."""
        if not self.class_lines:
            return np.asarray(np.clip(measured, 0, 1), np.float32)
        slopes, offsets = np.array(self.class_lines).T
        return np.asarray(np.clip(slopes * measured + offsets, 0, 1), np.float32)

    def mean_quality(self, quality: NDArray[np.floating[Any]]) -> float:
        """Computes the mean IoU to expect of an image; NaN where no class is expected in it.

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
    """Fits slope and offset of a logistic regression.

    Args:
        scores: Float `[N]`, higher = more likely wrong.
        wrong: Bool `[N]`.

    Returns:
        Slope (positive: the order is kept) and offset, in units of the scores.
    """
    from sklearn.linear_model import LogisticRegression

    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    scaled = (scores.astype(np.float64) - centre) / spread
    # The last two pixels weigh nothing: they are there because the solver wants to see both answers.
    rows = np.append(np.stack([scaled, np.ones_like(scaled)], 1), [[0.0, 1.0], [0.0, 1.0]], 0)
    answers, weights = np.append(wrong, [False, True]), np.append(np.ones_like(scaled), [0.0, 0.0])
    # The offset is a column of its own because it is pulled towards zero too, by 1 / C: perfectly separable
    # scores would run away without.
    model = LogisticRegression(C=1 / _PULL, fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    slope, offset = model.fit(rows, answers, weights).coef_[0]
    factor = max(slope, 1e-3) / spread
    return float(factor), float(offset - factor * centre)


def fit_classes(measured: NDArray[Any], true: NDArray[Any]) -> list[tuple[float, float]]:
    """Fits quality against the detector's estimate, one line per class.

    Args:
        measured: Float `[N, C]`; NaN where a class was not predicted.
        true: Float `[N, C]` in 0..1; NaN where the image lacks the class.

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
        For `Calibration(presence=...)`: shares of the N images, and of one made-up image more in which
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
