"""What every verb returns: the unknown objects of one picture, each with its outline and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CATEGORY_ID = 1


@dataclass(frozen=True)
class OodObject:
    """One object that the detector's training never named.

    Attributes:
        rle: COCO compressed run-length mask, `{"size": [H, W], "counts": str}` (column by column).
        box: The prompt the outline was drawn from, `(x0, y0, x1, y1)` in pixels of the picture.
        confidence: Confidence of that box, 0..1.
        area: Pixels in the mask, at least 1.
    """

    rle: dict[str, Any] = field(repr=False)
    box: tuple[float, float, float, float]
    confidence: float
    area: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The outline filled, bool `[H, W]`; decoded anew at every call."""
        from pycocotools import mask as rle_tools

        decoded: NDArray[np.bool_] = rle_tools.decode(self.rle).astype(bool)
        return decoded

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """The tightest box around the mask, `(x, y, width, height)` in pixels, as COCO has it."""
        from pycocotools import mask as rle_tools

        x, y, width, height = (float(value) for value in rle_tools.toBbox(self.rle))
        return x, y, width, height


def encode_objects(masks: ArrayLike, boxes: ArrayLike, confidence: ArrayLike) -> list[OodObject]:
    """Turns masks into objects; a box whose mask is empty names no object and is dropped.

    Args:
        masks: Bool `[N, H, W]`.
        boxes: `[N, 4]`, `xyxy` in pixels.
        confidence: `[N]`, 0..1.

    Returns:
        At most N objects, in the order given.

    Raises:
        ValueError: The three do not belong together.
    """
    from pycocotools import mask as rle_tools

    masks, boxes, confidence = np.asarray(masks), np.asarray(boxes, float), np.asarray(confidence, float)
    count = len(confidence)
    if masks.ndim != 3 or masks.shape[0] != count or boxes.shape != (count, 4):
        raise ValueError(
            f"masks {masks.shape}, boxes {boxes.shape} and confidence {confidence.shape} "
            "do not belong together"
        )
    objects = []
    for mask, box, value in zip(masks, boxes, confidence, strict=True):
        if not mask.any():
            continue
        rle = rle_tools.encode(np.asfortranarray(mask, dtype=np.uint8))
        x0, y0, x1, y1 = (float(side) for side in box)
        objects.append(
            OodObject(
                rle={"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")},
                box=(x0, y0, x1, y1),
                confidence=float(value),
                area=int(rle_tools.area(rle)),
            )
        )
    return objects


@dataclass(frozen=True, eq=False)
class Prediction:
    """All unknown objects of one picture.

    Attributes:
        path: Where the picture came from; None if it was handed in as pixels.
        height: Rows of the picture.
        width: Columns of the picture.
        objects: The objects, most confident first.
        score: Normalised anomaly score, float32 `[h, w]` at the size the detector worked at (in-distribution
            pixels have about mean 0 and standard deviation 1), or None.
        warnings: What was mended on the way, one sentence each.
        timings: Milliseconds a stage: `read`, `detector`, `prompts`, `masks`, `total`.
    """

    path: Path | None
    height: int
    width: int
    objects: Sequence[OodObject] = ()
    score: NDArray[np.float32] | None = field(default=None, repr=False)
    warnings: Sequence[str] = ()
    timings: Mapping[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Sorted here, so that the overlap rule below can rely on it; stable, so that ties keep their order.
        ordered = tuple(sorted(self.objects, key=lambda found: -found.confidence))
        object.__setattr__(self, "objects", ordered)

    @classmethod
    def from_masks(
        cls,
        masks: ArrayLike,
        boxes: ArrayLike,
        confidence: ArrayLike,
        *,
        path: Path | None = None,
        score: NDArray[np.float32] | None = None,
        warnings: Sequence[str] = (),
        timings: Mapping[str, float] | None = None,
    ) -> Prediction:
        """Builds a prediction from bool masks `[N, H, W]`, boxes `[N, 4]` (xyxy) and confidence `[N]`.

        Objects with an empty mask are dropped; N may be 0.

        Raises:
            ValueError: The three arrays do not belong together.
        """
        masks = np.asarray(masks)
        objects = encode_objects(masks, boxes, confidence)
        height, width = (int(side) for side in masks.shape[1:])
        return cls(path, height, width, objects, score, warnings, timings or {})

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Every pixel of every object, bool `[H, W]`: the union of the masks, without a threshold."""
        return self.confidence_index >= 0

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """Confidence per pixel, float32 `[H, W]` in 0..1, 0 where there is no object.

        Every pixel of a mask takes its box's confidence; where masks overlap the lowest one wins
        (S2M, CVPR 2024).
        """
        values = np.array([found.confidence for found in self.objects] + [0.0], dtype=np.float32)
        return values[self.confidence_index]

    @cached_property
    def confidence_index(self) -> NDArray[np.int32]:
        """Which object a pixel takes its confidence from, int32 `[H, W]`; -1 where there is none."""
        index = np.full((self.height, self.width), -1, dtype=np.int32)
        for position, found in enumerate(self.objects):
            index[found.mask] = position
        return index

    def to_coco(self, image_id: int, first_annotation_id: int = 1) -> list[dict[str, Any]]:
        """JSON-able COCO annotations: `segmentation` in run lengths, `bbox` of the mask, `area`, `score`."""
        return [
            {
                "id": first_annotation_id + position,
                "image_id": image_id,
                "category_id": CATEGORY_ID,
                "segmentation": found.rle,
                "bbox": list(found.bbox),
                "area": found.area,
                "iscrowd": 0,
                "score": round(found.confidence, 6),
            }
            for position, found in enumerate(self.objects)
        ]
