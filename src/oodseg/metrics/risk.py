"""The loss of an image when boxes below a confidence are dropped, for every such threshold at once.

The losses of conformal risk control: each falls or rises with the threshold and never turns back, because a
box's outline does not depend on the other boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.instances import FOUND_IOU, are_false_alarms, truth_objects
from oodseg.metrics.pixel import ANOMALY, F64

_NEVER = -1.0  # stands for the confidence of what no box finds


def missed_pixels(
    masks: Sequence[dict[str, Any]], confidences: Sequence[float], label: NDArray[np.uint8], thresholds: F64
) -> F64 | None:
    """Computes the share of the anomalous pixels that no kept outline covers.

    Args:
        masks: Predicted objects as COCO run-length masks of the label's size.
        confidences: One a mask.
        label: uint8 `[H, W]`: 0 in-distribution, 1 anomaly, 255 ignored.
        thresholds: Float64 `[T]`: objects of at least that confidence are kept.

    Returns:
        Float64 `[T]` in 0..1; None where nothing is anomalous.
    """
    from pycocotools import mask as coco

    anomalous = label == ANOMALY
    if not anomalous.any():
        return None
    best = np.full(int(anomalous.sum()), _NEVER)
    for mask, confidence in zip(masks, confidences, strict=True):
        covered = coco.decode(mask)[anomalous].astype(bool)
        best[covered] = np.maximum(best[covered], confidence)
    return _share_below(best, thresholds)


def missed_objects(
    masks: Sequence[dict[str, Any]], confidences: Sequence[float], label: NDArray[np.uint8], thresholds: F64
) -> F64 | None:
    """Computes the share of the unknown objects that no kept outline overlaps with an IoU of `FOUND_IOU`.

    Takes and returns what `missed_pixels` does; an object is an 8-connected component of at least ten pixels.
    """
    from pycocotools import mask as coco

    truths = truth_objects(label)[0]
    if not truths:
        return None
    best = np.full(len(truths), _NEVER)
    if masks:
        overlaps = np.asarray(coco.iou(list(masks), truths, [0] * len(truths))) >= FOUND_IOU
        best = np.where(overlaps, np.asarray(confidences, np.float64)[:, None], _NEVER).max(0)
    return _share_below(best, thresholds)


def false_alarms(
    masks: Sequence[dict[str, Any]], confidences: Sequence[float], label: NDArray[np.uint8], thresholds: F64
) -> F64:
    """Counts kept outlines that are false alarms (`are_false_alarms`); takes what `missed_pixels` does."""
    wrong = np.sort(np.asarray(confidences, np.float64)[are_false_alarms(masks, label)])
    counts: F64 = wrong.size - np.searchsorted(wrong, thresholds, side="left").astype(np.float64)
    return counts


def _share_below(best: F64, thresholds: F64) -> F64:
    shares: F64 = np.searchsorted(np.sort(best), thresholds, side="left") / best.size
    return shares
