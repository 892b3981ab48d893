"""COCO's average precision from one matching, for the whole set and for any resampling of its images.

pycocotools matches predictions with objects (Lin et al., ECCV 2014, arXiv 1405.0312); what it would
accumulate afterwards is done here with a weight per image, so that bootstrap intervals need no second
matching.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oodseg.metrics.pixel import F64

RECALLS: F64 = np.linspace(0.0, 1.0, 101)
_BLOCK = 64  # resamples at a time: bounds memory at about 64 x predictions


@dataclass
class ImageObjects:
    """Run-length masks of one image.

    Attributes:
        size: Rows and columns.
        truths: Its objects.
        ignored: Its ignored region, or None.
        masks: Predictions.
        confidences: One a prediction.
    """

    size: tuple[int, int]
    truths: list[dict[str, Any]]
    ignored: dict[str, Any] | None
    masks: list[dict[str, Any]]
    confidences: list[float] = field(default_factory=list)


class ObjectMatches:
    """Matches predictions to objects at IoU 0.50, 0.55 … 0.95, best prediction first.

    At most 100 predictions per image count. The ignored region is a crowd: predictions in it count neither
    way.
    """

    def __init__(self, images: Sequence[ImageObjects]) -> None:
        """Matches all images."""
        self._objects = np.array([len(image.truths) for image in images], np.float64)
        found = _match(images) if self._objects.any() else []
        scores = [np.asarray(one["dtScores"]) for one in found]
        order = np.argsort(-np.concatenate(scores), kind="stable") if scores else np.empty(0, np.int64)
        ids = [np.full(len(s), one["image_id"] - 1) for s, one in zip(scores, found, strict=True)]
        self._image = np.concatenate(ids)[order] if ids else np.empty(0, np.int64)
        hit = [np.asarray(one["dtMatches"]) > 0 for one in found]
        ignored = [np.asarray(one["dtIgnore"]) > 0 for one in found]
        empty = np.empty((10, 0), bool)
        hits = (np.concatenate(hit, 1) if hit else empty)[:, order]
        counted = ~(np.concatenate(ignored, 1) if ignored else empty)[:, order]
        self._tp, self._fp = hits & counted, ~hits & counted

    def figures(self, weights: F64) -> dict[str, F64]:
        """Accumulates with one weight per image.

        Args:
            weights: Float64 `[B, images]`, how often each image is in each resampled set.

        Returns:
            `ap`, `ap50` and `ar`, float64 `[B]` each; NaN where a resampled set holds no object.
        """
        blocks = [self._block(weights[k : k + _BLOCK]) for k in range(0, len(weights), _BLOCK)]
        ap, ar = (np.concatenate(part) for part in zip(*blocks, strict=True))
        return {"ap": ap.mean(1), "ap50": ap[:, 0], "ar": ar.mean(1)}

    def _block(self, weights: F64) -> tuple[F64, F64]:
        """AP and recall at each IoU, float64 `[B, 10]` each."""
        objects = weights @ self._objects
        ap, ar = np.full((2, len(weights), len(self._tp)), np.nan)
        mine = weights[:, self._image]
        for level, (hit, wrong) in enumerate(zip(self._tp, self._fp, strict=True)):
            tp, fp = np.cumsum(mine * hit, 1), np.cumsum(mine * wrong, 1)
            precision = tp / np.maximum(tp + fp, np.spacing(1))
            best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
            for row in np.flatnonzero(objects):
                recall = tp[row] / objects[row]
                at = np.searchsorted(recall, RECALLS, side="left")
                reached = at < recall.size
                ap[row, level] = best[row, at[reached]].sum() / RECALLS.size
                ar[row, level] = recall[-1] if recall.size else 0.0
        return ap, ar


def _match(images: Sequence[ImageObjects]) -> list[dict[str, Any]]:
    """Pycocotools' records of the images that hold an object or a prediction."""
    evaluation = coco_evaluation(images)
    if evaluation is None:
        return []
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    records: list[dict[str, Any] | None] = evaluation.evalImgs[: len(images)]  # the first area range: all
    return [record for record in records if record is not None]


def coco_evaluation(images: Sequence[ImageObjects]) -> Any:
    """Makes a class-agnostic `pycocotools.cocoeval.COCOeval` over images; None without a prediction."""
    from pycocotools import mask as coco
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth: dict[str, Any] = {"info": {}, "images": [], "annotations": []}
    truth["categories"] = [{"id": 1, "name": "object"}]
    found = []
    for index, image in enumerate(images, 1):
        truth["images"].append({"id": index, "height": image.size[0], "width": image.size[1]})
        crowds = [image.ignored] if image.ignored else []
        for mask in [*image.truths, *crowds]:
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": index,
                    "category_id": 1,
                    "iscrowd": int(mask is image.ignored),
                    "segmentation": mask,
                    "area": float(coco.area(mask)),
                    "bbox": coco.toBbox(mask).tolist(),
                }
            )
        found += [
            {"image_id": index, "category_id": 1, "segmentation": mask, "score": score}
            for mask, score in zip(image.masks, image.confidences, strict=True)
        ]
    if not found:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = truth
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(found), "segm")
    evaluation.params.useCats = 0
    return evaluation
