"""Pixel-level detection figures, pooled over the set: AuPRC, FPR at 95 % TPR, AUROC and best F1.

Definitions follow SegmentMeIfYouCan (Chan et al., NeurIPS D&B 2021, arXiv 2104.14812): the anomaly class is
positive, ignored pixels are left out, all pixels of all images form one pool, AuPRC is the step sum of
recall steps times precision (as in scikit-learn), and FPR95 is read at the first threshold with TPR >= 0.95.

`PixelCurve` is exact, by sorting, up to a number of pixels; beyond it falls back to a histogram of 2^22
bins over the order of the 32-bit floats themselves. Such a bin spans at most 2^-13 of a score's own
size, needs no range beforehand, and bounds the error of AuPRC, which is reported with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANOMALY, IGNORE = 1, 255
_KEY_BITS = 22
_SHIFT = np.uint32(32 - _KEY_BITS)
_SIGN = np.uint32(0x80000000)
TPR = 0.95

F32 = NDArray[np.float32]
Scores = NDArray[np.floating[Any]]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class PixelMetrics:
    """Pooled pixel figures; NaN where the set holds no anomaly or nothing else.

    Attributes:
        auprc: Area under precision-recall as the step sum, 0..1.
        fpr95: False positive rate at the first threshold with TPR >= 0.95, 0..1.
        auroc: Area under the ROC curve, ties counted half, 0..1.
        best_f1: Largest F1 over all thresholds, 0..1.
        threshold: Score of that F1: pixels with score >= threshold count as found.
        positives: Anomalous pixels.
        negatives: In-distribution pixels.
        exact: True if sorted, False if from the histogram.
        auprc_error: Largest possible distance between `auprc` and its exact value (0 when exact).
    """

    auprc: float
    fpr95: float
    auroc: float
    best_f1: float
    threshold: float
    positives: int
    negatives: int
    exact: bool
    auprc_error: float


@dataclass(frozen=True)
class _Steps:
    """The curve at every distinct score that holds an anomalous pixel, highest score first."""

    values: F64
    here: I64  # anomalous pixels at exactly this score
    tp: I64  # anomalous pixels at this score or above
    fp: I64  # in-distribution pixels at this score or above
    fp_above: I64  # in-distribution pixels strictly above this score
    positives: int
    negatives: int


class PixelCurve:
    """Collects the pixels of a set, image by image.

    Memory is 4 bytes per pixel (8 in float64) up to `exact_limit` pixels and constant (64 MB) beyond.
    """

    def __init__(self, exact_limit: int = 1 << 26) -> None:
        """Starts empty; more than `exact_limit` pixels go into the histogram (0: at once)."""
        self._limit = exact_limit
        self._positive: list[Scores] = []
        self._negative: list[Scores] = []
        self._size = 0
        self._histogram: NDArray[np.int64] | None = None  # [2, bins], in-distribution and anomalous
        self._known: _Steps | None = None  # of what was added so far
        if exact_limit <= 0:
            self._spill()

    def update(self, score: NDArray[Any], label: NDArray[np.uint8]) -> None:
        """Adds one image.

        Args:
            score: Float `[H, W]`, finite, higher = more anomalous; float64 keeps its precision.
            label: uint8 `[H, W]`: 0 in-distribution, 1 anomaly, 255 ignored.

        Raises:
            ValueError: Shapes differ, or a score that counts is not finite.
        """
        positive, negative = split(score, label)
        self._known = None
        if self._histogram is None:
            self._positive.append(positive)
            self._negative.append(negative)
            self._size += positive.size + negative.size
            if self._size > self._limit:
                self._spill()
        else:
            self._count(negative, positive)

    def compute(self) -> PixelMetrics:
        """Returns the pooled figures of everything added so far."""
        steps = self._steps()
        if steps.positives == 0 or steps.negatives == 0:
            nan = float("nan")
            return PixelMetrics(
                nan, nan, nan, nan, nan, steps.positives, steps.negatives, self._histogram is None, 0.0
            )
        precision = steps.tp / (steps.tp + steps.fp)
        auprc = float(np.sum(steps.here * precision) / steps.positives)
        first = int(np.argmax(steps.tp >= TPR * steps.positives))
        below = steps.negatives - 0.5 * (steps.fp + steps.fp_above)
        f1 = 2.0 * steps.tp / (steps.tp + steps.fp + steps.positives)
        best = int(np.argmax(f1))
        return PixelMetrics(
            auprc=auprc,
            fpr95=float(steps.fp[first] / steps.negatives),
            auroc=float(np.sum(steps.here * below) / steps.positives / steps.negatives),
            best_f1=float(f1[best]),
            threshold=float(steps.values[best]),
            positives=steps.positives,
            negatives=steps.negatives,
            exact=self._histogram is None,
            auprc_error=0.0 if self._histogram is None else _auprc_error(steps, auprc),
        )

    def precision_recall(self, points: int = 400) -> tuple[F64, F64]:
        """Returns recall and precision, float64 `[<= points]` each, thinned evenly in recall.

        Both are empty where either class has no pixel.
        """
        steps = self._steps()
        if steps.positives == 0 or steps.negatives == 0:
            return np.empty(0), np.empty(0)
        recall = steps.tp / steps.positives
        precision = steps.tp / (steps.tp + steps.fp)
        keep = np.unique(np.searchsorted(recall, np.linspace(0, recall[-1], points)).clip(0, recall.size - 1))
        return recall[keep], precision[keep]

    def roc(self, points: int = 400) -> tuple[F64, F64]:
        """Returns the ROC curve from (0, 0) to (1, 1), thinned evenly along both axes.

        Returns:
            False-positive and true-positive rate, ascending float64 of at most `2 * points + 2` points; empty
            where either class has no pixel.
        """
        steps = self._steps()
        if steps.positives == 0 or steps.negatives == 0:
            return np.empty(0), np.empty(0)
        # A step's ordinary pixels above it are passed at the recall of the step before.
        along = _walk(steps.fp_above, steps.fp, steps.negatives)
        up = _walk(steps.tp - steps.here, steps.tp, steps.positives)
        even = np.linspace(0, 1, points)
        kept = np.concatenate([np.searchsorted(along, even), np.searchsorted(up, even), [0, along.size - 1]])
        kept = np.unique(kept)
        return along[kept], up[kept]

    def bin_edges(self, bins: int = 512) -> Scores:
        """Returns thresholds, ascending, of the scores' type: about `bins` equal parts of either class."""
        steps = self._steps()
        edges: list[NDArray[Any]] = [np.zeros(1, np.float32)]
        kept = np.result_type(np.float32, *self._positive, *self._negative)
        if steps.positives:
            wanted = np.linspace(1, steps.positives, bins)
            edges.append(steps.values[np.searchsorted(steps.tp, wanted)].astype(kept))
        if steps.negatives:
            edges.append(self._negative_quantiles(bins))
        return np.unique(np.concatenate(edges))

    def _negative_quantiles(self, bins: int) -> Scores:
        if self._histogram is None:
            values = _sorted(self._negative)
            return values[np.linspace(0, values.size - 1, bins).astype(np.int64)]
        below = np.cumsum(self._histogram[0])
        wanted = np.linspace(1, below[-1], bins)
        return _bin_floor(np.searchsorted(below, wanted))

    def _steps(self) -> _Steps:
        if self._known is None:
            counts = self._histogram
            self._known = self._sorted_steps() if counts is None else self._histogram_steps(counts)
        return self._known

    def _sorted_steps(self) -> _Steps:
        positive, negative = _sorted(self._positive), _sorted(self._negative)
        values, counts = np.unique(positive, return_counts=True)
        here = counts[::-1].astype(np.int64)
        fp = negative.size - np.searchsorted(negative, values, side="left")[::-1]
        above = negative.size - np.searchsorted(negative, values, side="right")[::-1]
        return _Steps(
            values[::-1].astype(np.float64),
            here,
            np.cumsum(here),
            fp.astype(np.int64),
            above.astype(np.int64),
            positive.size,
            negative.size,
        )

    def _histogram_steps(self, histogram: NDArray[np.int64]) -> _Steps:
        filled = np.flatnonzero(histogram[1])[::-1]
        tp = np.cumsum(histogram[1][::-1])[::-1]
        fp = np.cumsum(histogram[0][::-1])[::-1]
        return _Steps(
            _bin_floor(filled).astype(np.float64),
            histogram[1][filled],
            tp[filled],
            fp[filled],
            fp[filled] - histogram[0][filled],
            int(tp[0]),
            int(fp[0]),
        )

    def _spill(self) -> None:
        self._histogram = np.zeros((2, 1 << _KEY_BITS), np.int64)
        for positive, negative in zip(self._positive, self._negative, strict=True):
            self._count(negative, positive)
        self._positive, self._negative = [], []

    def _count(self, negative: Scores, positive: Scores) -> None:
        if self._histogram is None:
            return
        for row, values in enumerate((negative, positive)):
            self._histogram[row] += np.bincount(_bin_of(values), minlength=1 << _KEY_BITS)


def pixel_metrics(score: NDArray[Any], label: NDArray[np.uint8]) -> PixelMetrics:
    """Computes the exact figures of arrays held in memory; see `PixelCurve.update` for the arguments."""
    curve = PixelCurve(exact_limit=score.size)
    curve.update(score, label)
    return curve.compute()


def cut(score: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Returns the mask `score >= threshold`, bool of the score's shape: the pixels that `best_f1` counts.

    A map of few distinct values loses its whole top plateau by `>`. No score is rounded for it.
    """
    return np.asarray(score.astype(np.float64, copy=False) >= threshold)


def split(score: NDArray[Any], label: NDArray[np.uint8]) -> tuple[Scores, Scores]:
    """Returns the anomalous and the in-distribution scores as finite vectors, -0.0 made 0.0.

    They are float64 where the score is, else float32.
    """
    if score.shape != label.shape:
        raise ValueError(f"score and label differ in shape: {score.shape} and {label.shape}")
    values = score if score.dtype == np.float64 else score.astype(np.float32, copy=False)
    positive, negative = values[label == ANOMALY], values[label == 0]
    for part in (positive, negative):
        if part.size and not (np.isfinite(part.min()) and np.isfinite(part.max())):
            raise ValueError("scores must be finite")
    return positive + np.float32(0.0), negative + np.float32(0.0)


def _walk(before: I64, after: I64, total: int) -> F64:
    """Shares of a class on the way from 0 to 1 past every step, float64 `[2 * steps + 2]`."""
    return np.concatenate([[0.0], np.stack([before, after], 1).ravel() / total, [1.0]])


def _sorted(chunks: list[Scores]) -> Scores:
    """Sorts all chunks together, leaving the one sorted array in their place to save memory and time."""
    if len(chunks) != 1:
        chunks[:] = [np.concatenate(chunks) if chunks else np.empty(0, np.float32)]
    chunks[0].sort()
    return chunks[0]


def _bin_of(values: Scores) -> NDArray[np.uint32]:
    """Maps float32 to bins in the floats' own order: flip negatives, set the sign bit of the rest."""
    if values.dtype != np.float32:
        values = values.clip(np.finfo(np.float32).min, np.finfo(np.float32).max).astype(np.float32)
    bits = values.view(np.uint32)
    return np.where(bits >= _SIGN, ~bits, bits | _SIGN) >> _SHIFT


def _bin_floor(bins: NDArray[np.intp]) -> F32:
    """Smallest float32 that falls into each bin."""
    keys = bins.astype(np.uint32) << _SHIFT
    bits = np.where(keys >= _SIGN, keys & ~_SIGN, ~keys)
    return bits.astype(np.uint32).view(np.float32)


def _auprc_error(steps: _Steps, auprc: float) -> float:
    """Bounds how far any order of the pixels inside each bin can move the step sum."""
    before = steps.tp - steps.here
    high = np.sum(steps.here * (steps.tp / (steps.tp + steps.fp_above))) / steps.positives
    low = np.sum(steps.here * ((before + 1) / (before + 1 + steps.fp))) / steps.positives
    return float(max(high - auprc, auprc - low))
