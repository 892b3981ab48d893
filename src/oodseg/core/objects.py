"""One unknown object: its outline as COCO run lengths, its box, its confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# An object with at least this share of its mask inside a more confident one's is a part of that.
PART_SHARE = 0.8


@dataclass(frozen=True)
class OodObject:
    """One object of a class the detector was not trained on.

    Attributes:
        rle: COCO compressed run-length mask, `{"size": [H, W], "counts": str}` (column by column).
        prompt_box: The prompt that the outline was drawn from, `(x0, y0, x1, y1)` in pixels of the image. The
            tightest box around the mask is `bbox`.
        confidence: Confidence of that box, 0..1.
        area: Pixels in the mask, at least 1.
        track: Its identity over the frames of a video, from 1; None in single images.
        frame_confidence: In a video, where `confidence` is that of the track so far, that of the box in this
            frame; None where this frame has no such box and the outline follows from those of other frames.
    """

    rle: dict[str, Any] = field(repr=False)
    prompt_box: tuple[float, float, float, float]
    confidence: float
    area: int
    track: int | None = None
    frame_confidence: float | None = None

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

    @classmethod
    def from_rle(cls, rle: Mapping[str, Any], confidence: float = 1.0) -> OodObject:
        """Makes the object of a mask that came without a prompt: its box is the tightest one.

        Args:
            rle: COCO run lengths, compressed (`counts` is text or bytes) or not (`counts` is a list).
            confidence: 0..1.

        Raises:
            ValueError: The mask is empty, or these are no run lengths.
        """
        from pycocotools import mask as rle_tools

        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        text = counts.decode("ascii") if isinstance(counts, bytes) else counts
        runs = run_lengths(text) if isinstance(text, str) else list(text)
        # The library fills what is missing with whatever lies in memory.
        if sum(runs) != height * width or min(runs, default=0) < 0:
            raise ValueError(f"the run lengths do not add up to {width}x{height} pixels")
        area = sum(runs[1::2])
        if not area:
            raise ValueError("the mask is empty")
        compressed = {"size": [height, width], "counts": text}
        if not isinstance(text, str):
            found = rle_tools.frPyObjects({"size": [height, width], "counts": runs}, height, width)
            compressed["counts"] = found["counts"].decode("ascii")
        x, y, columns, rows = (float(value) for value in rle_tools.toBbox(compressed))
        return cls(compressed, (x, y, x + columns, y + rows), float(confidence), area)

    @classmethod
    def from_mask(cls, mask: ArrayLike, confidence: float = 1.0) -> OodObject:
        """Makes the object of a mask, bool `[H, W]`, that came without a prompt; see `from_rle`."""
        from pycocotools import mask as rle_tools

        return cls.from_rle(rle_tools.encode(np.asfortranarray(mask, dtype=np.uint8)), confidence)


def run_lengths(counts: str) -> list[int]:
    """Unpacks COCO's compressed run lengths, the first of zeros.

    Every character holds five bits of a number, lowest first, and whether more follow; from the fourth run
    on, numbers are differences from the run before the last.

    Raises:
        ValueError: The text ends within a number.
    """
    runs: list[int] = []
    number = shift = 0
    for character in counts:
        chunk = ord(character) - 48
        number |= (chunk & 31) << shift
        shift += 5
        if chunk & 32:
            continue
        if chunk & 16:  # negative
            number -= 1 << shift
        runs.append(number + runs[-2] if len(runs) > 2 else number)
        number = shift = 0
    if shift:
        raise ValueError("the run lengths end within a number")
    return runs


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
                prompt_box=(x0, y0, x1, y1),
                confidence=float(value),
                area=int(rle_tools.area(rle)),
            )
        )
    return objects


def drop_parts(objects: Sequence[OodObject], share: float = PART_SHARE) -> list[OodObject]:
    """Drops every object that is a part of a more confident one: a leg of a cow, a wheel of a cart.

    Boxes of a whole and of its part overlap too little to be told apart by their boxes; their masks do not.

    Args:
        objects: Objects of one image.
        share: Share of an object's mask inside the other's from which it counts as a part, 0..1.

    Returns:
        The others, most confident first.
    """
    from pycocotools import mask as rle_tools

    kept: list[OodObject] = []
    for candidate in sorted(objects, key=lambda found: -found.confidence):
        wholes = [each.rle for each in kept]
        # With `iscrowd`, pycocotools divides the intersection by the area of the first mask alone.
        inside = rle_tools.iou([candidate.rle], wholes, [1] * len(wholes)) if wholes else []
        if not np.any(np.asarray(inside) >= share):
            kept.append(candidate)
    return kept
