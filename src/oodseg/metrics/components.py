"""The component figures of SegmentMeIfYouCan: sIoU, PPV and F1 averaged over 0.25, 0.30 … 0.75 (F1*).

Source: Chan et al., NeurIPS D&B 2021, arXiv 2104.14812, Sec. 3. Components are 8-connected. Predictions
outside the region of interest are cut first; predicted components under a minimum size are dropped,
ground-truth ones become ignored. For a ground-truth component k with P(k) all predicted components that
touch it:

    sIoU(k) = |k ∩ P(k)| / (|k ∪ P(k)| - pixels of P(k) on other ground-truth components)

The PPV of a predicted component is its share on ground truth. At each τ: TP = ground truth with sIoU >= τ,
FN = the rest, FP = predictions with PPV < τ. The mask is cut at the pooled best-F1 threshold
(`PixelMetrics.threshold`). Everything comes from one table of overlapping label pairs, without a loop over
components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.bootstrap import measurable
from oodseg.metrics.pixel import ANOMALY, F64, I64, IGNORE

TAUS: F64 = np.linspace(0.25, 0.75, 11)
_DENSE = 1 << 22


@dataclass(frozen=True)
class MinimumSizes:
    """Smallest components that count, in pixels."""

    predicted: int
    truth: int


TRACK_SIZES = {
    "anomaly": MinimumSizes(predicted=500, truth=100),
    "obstacle": MinimumSizes(predicted=50, truth=10),
}


@dataclass(frozen=True)
class Components:
    """Component figures of one image.

    Attributes:
        siou: sIoU of each ground-truth component, float64 `[G]` in 0..1.
        siou_predicted: The same with the roles swapped, float64 `[P]`.
        ppv: Share of each predicted component on ground truth, float64 `[P]` in 0..1.
        truth_area: Pixels of each ground-truth component, int64 `[G]`.
    """

    siou: F64
    siou_predicted: F64
    ppv: F64
    truth_area: I64


@dataclass(frozen=True)
class ComponentMetrics:
    """Component figures of a set.

    NaN where there is nothing to average, no ground-truth component, or no in-distribution pixel.

    Attributes:
        siou: Mean sIoU over ground-truth components.
        siou_predicted: Mean sIoU over predicted components.
        ppv: Mean PPV over predicted components.
        f1_mean: F1*, the mean of F1 over `TAUS`.
        f1: F1 at each of `TAUS`, float64 `[11]`.
        tp: Ground truth found at each of `TAUS`, int64 `[11]`.
        fp: False predictions at each of `TAUS`.
        fn: Ground truth missed at each of `TAUS`.
        truths: Ground-truth components.
        predictions: Predicted components.
    """

    siou: float
    siou_predicted: float
    ppv: float
    f1_mean: float
    f1: F64
    tp: I64
    fp: I64
    fn: I64
    truths: int
    predictions: int


class ComponentCounter:
    """Collects component figures image by image; memory is a few numbers per component."""

    def __init__(self, sizes: MinimumSizes) -> None:
        """Starts empty, with the track's minimum component sizes."""
        self.sizes = sizes
        self._rows: list[F64] = []
        self._ordinary: list[int] = []

    def update(self, mask: NDArray[np.bool_], label: NDArray[np.uint8]) -> Components:
        """Adds one image and returns its own figures; arguments as in `match_components`."""
        found = match_components(mask, label, self.sizes)
        self._rows.append(
            np.concatenate(
                [
                    (found.siou[:, None] >= TAUS).sum(0),
                    (found.ppv[:, None] < TAUS).sum(0),
                    [found.siou.size, found.ppv.size],
                    [found.siou.sum(), found.siou_predicted.sum(), found.ppv.sum()],
                ]
            ).astype(np.float64)
        )
        self._ordinary.append(int(np.count_nonzero(label == 0)))
        return found

    def compute(self) -> ComponentMetrics:
        """Returns the figures of everything added so far."""
        row = np.sum(self._rows, axis=0)
        n = TAUS.size
        truths, predictions = row[2 * n], row[2 * n + 1]
        siou, siou_predicted, ppv, f1 = (values[0] for values in self._figures(np.ones((1, len(self._rows)))))
        return ComponentMetrics(
            siou=float(siou),
            siou_predicted=float(siou_predicted),
            ppv=float(ppv),
            f1_mean=float(f1.mean()),
            f1=f1,
            tp=row[:n].astype(np.int64),
            fp=row[n : 2 * n].astype(np.int64),
            fn=(truths - row[:n]).astype(np.int64),
            truths=int(truths),
            predictions=int(predictions),
        )

    def resample(self, weights: F64) -> dict[str, F64]:
        """Scores resampled sets.

        Args:
            weights: Float64 `[B, images]`, how often each image is in each resampled set.

        Returns:
            `siou`, `ppv` and `f1_mean`, float64 `[B]` each; NaN as in `ComponentMetrics`.
        """
        siou, _, ppv, f1 = self._figures(weights)
        return {"siou": siou, "ppv": ppv, "f1_mean": f1.mean(1)}

    def _figures(self, weights: F64) -> tuple[F64, F64, F64, F64]:
        """Both sIoU and PPV, float64 `[B]` each, and F1 at each of `TAUS`, float64 `[B, 11]`."""
        table, n = np.stack(self._rows), TAUS.size
        rows = weights @ table
        rows[~measurable(weights, table[:, 2 * n], np.array(self._ordinary, np.float64))] = np.nan
        tp, fp = rows[:, :n], rows[:, n : 2 * n]
        truths, predictions, siou, siou_predicted, ppv = rows[:, 2 * n :].T
        with np.errstate(divide="ignore", invalid="ignore"):
            f1 = 2 * tp / (tp + truths[:, None] + fp)  # truths = TP + FN
            return siou / truths, siou_predicted / predictions, ppv / predictions, f1


def label_components(mask: NDArray[Any]) -> tuple[NDArray[np.int32], I64]:
    """Labels 8-connected components.

    Args:
        mask: Bool `[H, W]`.

    Returns:
        int32 `[H, W]` with 0 outside and 1..N inside, and the areas in pixels, int64 `[N + 1]`.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask, np.uint8), connectivity=8
    )
    return labels, stats[:, cv2.CC_STAT_AREA].astype(np.int64)


def drop_small(labels: NDArray[np.int32], areas: I64, minimum: int) -> tuple[NDArray[np.int32], I64]:
    """Removes components under `minimum` pixels and numbers the rest 1..M.

    Args:
        labels: As `label_components` gives.
        areas: As `label_components` gives.
        minimum: In pixels.

    Returns:
        Labels and areas again.
    """
    keep = areas >= minimum
    keep[0] = True
    if keep.all():
        return labels, areas
    renumber = np.where(keep, np.cumsum(keep) - 1, 0).astype(np.int32)
    return renumber[labels], areas[keep]


def match_components(mask: NDArray[np.bool_], label: NDArray[np.uint8], sizes: MinimumSizes) -> Components:
    """Matches predicted with ground-truth components in one image.

    Args:
        mask: Predicted anomaly, bool `[H, W]`.
        label: uint8 `[H, W]`: 0 in-distribution, 1 anomaly, 255 ignored.
        sizes: Minimum component sizes.

    Raises:
        ValueError: Shapes differ.
    """
    if mask.shape != label.shape:
        raise ValueError(f"mask and label differ in shape: {mask.shape} and {label.shape}")
    truth, truth_area = label_components(label == ANOMALY)
    small = truth_area < sizes.truth
    small[0] = False
    pred, pred_area = label_components(mask & (label != IGNORE))
    pred, pred_area = drop_small(pred, pred_area, sizes.predicted)
    if small.any():
        # As the toolkit does: predictions are labelled and sized first, then small truth is cut out of them.
        pred = np.where(small[truth], 0, pred).astype(np.int32)
        pred_area = np.bincount(pred.ravel(), minlength=pred_area.size)
        pred, pred_area = drop_small(pred, pred_area, 1)
        truth, truth_area = drop_small(truth, truth_area, sizes.truth)

    both = np.flatnonzero((truth > 0) & (pred > 0))
    width = pred_area.size
    joint = truth.ravel()[both].astype(np.int64) * width + pred.ravel()[both]
    if truth_area.size * width <= _DENSE:
        counts = np.bincount(joint, minlength=truth_area.size * width)
        pairs = np.flatnonzero(counts)
        counts = counts[pairs]
    else:
        pairs, counts = np.unique(joint, return_counts=True)
    t, p = np.divmod(pairs, width)
    on_truth = np.bincount(p, counts, minlength=width)[1:]
    on_pred = np.bincount(t, counts, minlength=truth_area.size)[1:]
    return Components(
        siou=_adjusted_iou(t - 1, p - 1, on_pred, truth_area[1:], on_truth, pred_area[1:]),
        siou_predicted=_adjusted_iou(p - 1, t - 1, on_truth, pred_area[1:], on_pred, truth_area[1:]),
        ppv=on_truth / pred_area[1:],
        truth_area=truth_area[1:],
    )


def _adjusted_iou(
    own: NDArray[Any],
    other: NDArray[Any],
    inter: NDArray[Any],
    area: I64,
    covered: NDArray[Any],
    other_area: I64,
) -> F64:
    """Returns the sIoU of every own component, from the list of touching (own, other) pairs.

    Union minus what the touching others cover elsewhere is area + (uncovered pixels of those others):
    |k| + |P| - |k ∩ P| - (covered(P) - |k ∩ P|).
    """
    outside = np.bincount(own, (other_area - covered)[other], minlength=area.size)
    return np.asarray(inter / (area + outside), np.float64)
