"""Object-level figures: class-agnostic COCO AP, AP50 and AR, recall by object size, false alarms per image.

Sources: COCO's rules (Lin et al., ECCV 2014, arXiv 1405.0312) as pycocotools computes them, without classes
as in OoDIS (Nekrasov et al., ICRA 2025, arXiv 2406.11835). Where a set has no instance labels, every
8-connected component of the anomaly label is one object. The ignored region is a crowd region: a prediction
lying in it is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.average_precision import ImageObjects, ObjectMatches
from oodseg.metrics.bootstrap import measurable
from oodseg.metrics.components import drop_small, label_components
from oodseg.metrics.pixel import ANOMALY, F64, IGNORE

FALSE_ALARM_SHARE = 0.25
"""A prediction with less of its counted pixels on an anomaly is a false alarm (SMIYC's lowest τ)."""
FOUND_IOU = 0.5
"""An object counts as found if one prediction overlaps it with at least this IoU."""
SIZES = {"tiny": (0, 16**2), "small": (16**2, 32**2), "medium": (32**2, 96**2), "large": (96**2, 10**10)}
"""Object sizes in pixels; small, medium and large are COCO's."""


@dataclass(frozen=True)
class SizeRecall:
    """Recall of the objects of one size.

    Attributes:
        objects: Ground-truth objects of this size.
        found: Those that one prediction overlaps with IoU >= `FOUND_IOU`.
        covered: Mean share of an object's pixels that all predictions together cover, NaN without objects.
    """

    objects: int
    found: int
    covered: float

    @property
    def recall(self) -> float:
        """Share found, NaN without objects."""
        return self.found / self.objects if self.objects else float("nan")


@dataclass(frozen=True)
class InstanceMetrics:
    """Object figures of a set; `ap`, `ap50` and `ar` are NaN without an object or an in-distribution pixel.

    Attributes:
        ap: AP averaged over IoU 0.50, 0.55 … 0.95, 0..1.
        ap50: AP at IoU 0.5.
        ar: Recall averaged over the same IoUs with at most 100 predictions per image.
        by_size: Recall by object size.
        boxes_per_image: Mean number of predicted objects.
        false_alarms_per_image: Mean number of predictions with less than `FALSE_ALARM_SHARE` of their
            counted pixels on an anomaly; those more than half in the ignored region are left out.
    """

    ap: float
    ap50: float
    ar: float
    by_size: dict[str, SizeRecall]
    boxes_per_image: float
    false_alarms_per_image: float


class InstanceCounter:
    """Collects objects image by image as run-length masks."""

    def __init__(self, minimum_truth: int = 10) -> None:
        """Starts empty; ground-truth components under `minimum_truth` pixels become ignored."""
        self._minimum = minimum_truth
        self._images: list[ImageObjects] = []
        self._false_alarms: list[int] = []
        self._ordinary: list[int] = []
        self._areas: list[int] = []
        self._found: list[bool] = []
        self._covered: list[float] = []
        self._matches: ObjectMatches | None = None

    def update(
        self, masks: Sequence[dict[str, Any]], confidences: Sequence[float], label: NDArray[np.uint8]
    ) -> int:
        """Adds one image.

        Args:
            masks: Predicted objects as COCO run-length masks of the label's size.
            confidences: One a mask, higher = surer.
            label: uint8 `[H, W]`: 0 in-distribution, 1 anomaly, 255 ignored.

        Returns:
            The image's false alarms.

        Raises:
            ValueError: A mask of another size than the label.
        """
        from pycocotools import mask as coco

        height, width = label.shape
        if any(tuple(mask["size"]) != (height, width) for mask in masks):
            raise ValueError("every mask must have the size of the label")
        truths, areas, crowd = truth_objects(label, self._minimum)
        self._images.append(ImageObjects((height, width), truths, crowd, list(masks), list(confidences)))
        self._areas += areas
        self._matches = None
        false_alarms = int(_false_alarms(masks, label, crowd).sum())
        if truths:
            best = coco.iou(list(masks), truths, [0] * len(truths)).max(0) if masks else np.zeros(len(truths))
            self._found += [bool(value >= FOUND_IOU) for value in best]
            union = coco.merge(list(masks)) if masks else encode_mask(np.zeros_like(label, bool))
            self._covered += [float(v) for v in _intersection(truths, [union])[:, 0] / areas]
        self._false_alarms.append(false_alarms)
        self._ordinary.append(int(np.count_nonzero(label == 0)))
        return false_alarms

    def compute(self) -> InstanceMetrics:
        """Returns the figures of everything added so far."""
        whole = {name: float(v[0]) for name, v in self.resample(np.ones((1, len(self._images)))).items()}
        return InstanceMetrics(by_size=self._by_size(), **whole)

    def resample(self, weights: F64) -> dict[str, F64]:
        """Scores resampled sets.

        Args:
            weights: Float64 `[B, images]`, how often each image is in each resampled set.

        Returns:
            `ap`, `ap50`, `ar`, `boxes_per_image` and `false_alarms_per_image`, float64 `[B]` each; NaN as in
            `InstanceMetrics`.
        """
        self._matches = self._matches or ObjectMatches(self._images)
        objects = np.array([len(image.truths) for image in self._images], np.float64)
        defined = measurable(weights, objects, np.array(self._ordinary, np.float64))
        overlaps = self._matches.figures(weights)
        share = weights / weights.sum(1, keepdims=True)
        return {name: np.where(defined, values, np.nan) for name, values in overlaps.items()} | {
            "boxes_per_image": share @ np.array([float(len(p.masks)) for p in self._images]),
            "false_alarms_per_image": share @ np.array(self._false_alarms, np.float64),
        }

    def _by_size(self) -> dict[str, SizeRecall]:
        areas, found = np.array(self._areas), np.array(self._found, bool)
        covered = np.array(self._covered)
        result = {}
        for name, (low, high) in SIZES.items():
            here = (areas >= low) & (areas < high)
            mean = float(covered[here].mean()) if here.any() else float("nan")
            result[name] = SizeRecall(int(here.sum()), int(found[here].sum()), mean)
        return result


def truth_objects(
    label: NDArray[np.uint8], minimum: int = 10
) -> tuple[list[dict[str, Any]], list[int], dict[str, Any] | None]:
    """Splits a label into its objects, the 8-connected components of the anomaly.

    Args:
        label: uint8 `[H, W]`: 0 in-distribution, 1 anomaly, 255 ignored.
        minimum: Components under this many pixels are ignored.

    Returns:
        Run-length masks and areas of the objects, and the mask of all that is ignored, or None.
    """
    labels, areas = drop_small(*label_components(label == ANOMALY), minimum)
    ignored = (label == IGNORE) | ((label == ANOMALY) & (labels == 0))
    crowd = encode_mask(ignored) if ignored.any() else None
    return component_masks(labels, areas.size - 1), [int(area) for area in areas[1:]], crowd


def are_false_alarms(
    masks: Sequence[dict[str, Any]], label: NDArray[np.uint8], minimum: int = 10
) -> NDArray[np.bool_]:
    """Tells which predictions are false alarms: those with less than `FALSE_ALARM_SHARE` on an anomaly.

    Takes what `truth_objects` does, and predicted run-length masks of the label's size. Pixels in the ignored
    region do not count, and a prediction that lies more than half in it is no false alarm.

    Returns:
        Bool `[N]`.
    """
    return _false_alarms(masks, label, truth_objects(label, minimum)[2] if masks else None)


def _false_alarms(
    masks: Sequence[dict[str, Any]], label: NDArray[np.uint8], crowd: dict[str, Any] | None
) -> NDArray[np.bool_]:
    from pycocotools import mask as coco

    if not masks:
        return np.zeros(0, bool)
    size = coco.area(list(masks)).astype(np.float64)
    on_truth = _intersection(masks, [encode_mask(label == ANOMALY)])[:, 0]
    counted = size - (_intersection(masks, [crowd])[:, 0] if crowd else 0.0)
    return np.asarray((on_truth < FALSE_ALARM_SHARE * counted) & (counted > 0.5 * size))


def encode_mask(mask: NDArray[Any]) -> dict[str, Any]:
    """Turns a bool `[H, W]` mask into a COCO run-length mask."""
    from pycocotools import mask as coco

    encoded: dict[str, Any] = coco.encode(np.asfortranarray(mask, np.uint8))
    return encoded


def objects_of_mask(
    mask: NDArray[np.bool_], score: NDArray[np.float32], minimum: int
) -> tuple[list[dict[str, Any]], list[float]]:
    """Splits a mask into its connected components: the baseline that needs no prompts.

    Args:
        mask: Bool `[H, W]`.
        score: Float32 `[H, W]`; a component's confidence is its mean score.
        minimum: Components under this many pixels are dropped.

    Returns:
        Run-length masks and confidences, in the order of the labels.
    """
    labels, areas = drop_small(*label_components(mask), minimum)
    sums = np.bincount(labels.ravel(), score.ravel(), minlength=areas.size)
    return component_masks(labels, areas.size - 1), [float(v) for v in sums[1:] / areas[1:]]


def component_masks(labels: NDArray[np.int32], count: int) -> list[dict[str, Any]]:
    """Reads the run-length masks of components 1..count off the label map's own runs, in one pass."""
    height, width = labels.shape
    flat = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    owner = flat[starts]
    order = np.argsort(owner, kind="stable")
    starts, ends = starts[order], ends[order]
    bounds = np.searchsorted(owner[order], np.arange(1, count + 2))
    masks = []
    for k in range(count):
        own = slice(bounds[k], bounds[k + 1])
        edges = np.stack([starts[own], ends[own]], 1).ravel()
        masks.append(_from_runs(np.diff(edges, prepend=0, append=flat.size), height, width))
    return masks


def _from_runs(runs: NDArray[np.int64], height: int, width: int) -> dict[str, Any]:
    from pycocotools import mask as coco

    encoded: dict[str, Any] = coco.frPyObjects(
        {"size": [height, width], "counts": runs.tolist()}, height, width
    )
    return encoded


def _intersection(left: Sequence[dict[str, Any]], right: Sequence[dict[str, Any]]) -> F64:
    """Pixels shared by every left with every right mask, float64 `[L, R]`; a crowd's IoU is shared / left."""
    from pycocotools import mask as coco

    left, right = list(left), list(right)
    shares = np.asarray(coco.iou(left, right, [1] * len(right)), np.float64)
    return np.asarray(shares * coco.area(left)[:, None], np.float64)
