"""Turns results into answers: JSON or pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from oodseg.core.encoding import encode_numbers, encode_png
from oodseg.report.failure_panels import colour_labels, draw_panel, heat_map
from oodseg.service.models import Models
from oodseg.service.schemas import ClassQuality, Found, FoundObject, Interval, Judged, Model, RunLengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.core.parts import Assessment, Judge
    from oodseg.core.prediction import Prediction

View = Literal["overlay", "mask", "confidence", "score", "image"]
"""Pictures of a prediction: the image with its objects; 0 and 255; 16 bits, 0..65535 = 0..1; 16 bits at the
working size, 0..65535 = -4..16 standard deviations; the image alone, as it was read."""
FailureView = Literal["error", "heat", "labels", "panel"]
"""Pictures of an assessment: 16 bits, 0..65535 = 0..1; the same over the image; the predicted classes in
colours; all of it side by side."""
_SCORES = (-4.0, 16.0)


def _whole(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    left, top, width, height = (round(side) for side in box)
    return left, top, width, height


def found_json(found: Prediction, models: Models, request_id: str, point: str, seconds: float) -> bytes:
    """Describes a prediction in JSON."""
    objects = [
        FoundObject(
            id=number,
            bbox=_whole(each.bbox),
            area=each.area,
            confidence=round(each.confidence, 6),
            segmentation=RunLengths.model_validate(each.rle),
            kept_by=models.kept_by(each.confidence),
        )
        for number, each in enumerate(found.objects, start=1)
    ]
    answer = Found(
        id=request_id,
        width=found.width,
        height=found.height,
        seconds=round(seconds, 4),
        operating_point=point,
        objects=objects,
        warnings=list(found.warnings),
        model=Model(**models.brief),
    )
    return answer.model_dump_json().encode()


def found_picture(found: Prediction, image: NDArray[np.uint8], view: View) -> bytes:
    """Draws a prediction as PNG."""
    if view == "overlay":
        return encode_png(found.overlay(image))
    if view == "image":
        return encode_png(image)
    if view == "mask":
        return encode_png(found.mask.astype(np.uint8) * 255)
    if view == "confidence":
        return encode_numbers(found.confidence, "png")
    score = np.zeros((1, 1), np.float32) if found.score is None else found.score
    return encode_numbers(score, "png", *_SCORES)


def judged_json(
    found: Assessment, judge: Judge, request_id: str, version: str, seconds: float, warnings: list[str]
) -> bytes:
    """Describes an assessment in JSON."""
    interval = None
    if found.interval is not None and judge.intervals is not None:
        level, promise = judge.intervals.level, judge.intervals.promise()
        interval = Interval(low=found.interval[0], high=found.interval[1], level=level, promise=promise)
    height, width = found.error.shape
    answer = Judged(
        id=request_id,
        width=width,
        height=height,
        seconds=round(seconds, 4),
        mean_iou=_number(found.mean_quality),
        interval=interval,
        error=float(found.error.mean()),
        classes=[
            ClassQuality(name=name, iou=_number(float(value)))
            for name, value in zip(judge.classes, found.class_quality, strict=True)
        ],
        warnings=warnings,
        detector=judge.name,
        version=version,
    )
    return answer.model_dump_json().encode()


def judged_picture(found: Assessment, judge: Judge, image: NDArray[np.uint8], view: FailureView) -> bytes:
    """Draws an assessment as PNG."""
    if view == "error":
        return encode_numbers(found.error, "png")
    if view == "heat":
        return encode_png(heat_map(image, found.error))
    if view == "labels":
        return encode_png(colour_labels(image, found.labels, judge.classes))
    return encode_png(draw_panel(image, found, judge.classes))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
