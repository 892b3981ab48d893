"""supervision's `Detections`, for all that can be drawn, tracked and counted with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oodseg.core.coco import CATEGORY
from oodseg.core.errors import ConfigError
from oodseg.core.objects import OodObject
from oodseg.core.tables import to_detections
from oodseg.exchange.labels import LabelledImage

if TYPE_CHECKING:
    from supervision import Detections

_NAMES = "class_name"


def to_supervision(image: LabelledImage) -> Detections:
    """Makes detections of an image's unknown objects: masks, the boxes around them, confidences.

    Raises:
        MissingDependencyError: supervision is not installed.
    """
    return to_detections(image.objects)


def from_supervision(
    detections: Detections, name: str, height: int, width: int, path: Path | None = None
) -> LabelledImage:
    """Makes a labelled image of detections; empty masks are dropped.

    Args:
        detections: With masks; `class_name` in their data tells what is `"ignore"`.
        name: Of the image.
        height: Rows of the image.
        width: Columns of the image.
        path: Where the image lies.

    Raises:
        ConfigError: The detections have no masks, or are of an image of another size.
    """
    if not len(detections):
        return LabelledImage(name, height, width, path=path)
    if detections.mask is None:
        raise ConfigError(f"the detections in {name} have boxes only: outline them first")
    masks = np.asarray(detections.mask, bool)
    if masks.shape[1:] != (height, width):
        raise ConfigError(
            f"the detections are of an image of {masks.shape[2]}x{masks.shape[1]} pixels, {name} has "
            f"{width}x{height}: pass its own"
        )
    count = len(masks)
    confidence = np.ones(count) if detections.confidence is None else detections.confidence
    labels = detections.data.get(_NAMES, [CATEGORY] * count)
    labelled = [
        (str(label), OodObject.from_mask(mask, float(value)))
        for label, mask, value in zip(labels, masks, confidence, strict=True)
        if mask.any()
    ]
    return LabelledImage.from_labelled(name, height, width, labelled, path)
