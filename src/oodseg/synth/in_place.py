"""Things that were wrongly taken for unknown, shown where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.core.taxonomy import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.data.mined import MinedThing

_LEAST = 24  # rows of a window


def in_place(
    thing: MinedThing, size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Shows a thing with more or less of what surrounds it, mirrored half the time.

    Args:
        thing: What was rejected.
        size: Height and width of the result.
        rng: Source of every choice.

    Returns:
        Image uint8 `[H, W, 3]`, and codes uint8 `[H, W]`: 0 in the thing's box, 255 around it, where anything
        may be.
    """
    height, width = size
    image = thing.read_image()
    rows, columns = image.shape[:2]
    x, y, w, h = (round(side) for side in thing.found.bbox)
    codes = np.full((rows, columns), IGNORE, np.uint8)
    codes[y : y + h, x : x + w] = 0
    largest = min(rows, columns * height / width)
    tall = float(np.clip(max(h, w * height / width) * rng.uniform(1.5, 5), min(_LEAST, largest), largest))
    wide = tall * width / height
    top, left = _start(y, h, tall, rows, rng), _start(x, w, wide, columns, rng)
    window = np.s_[int(top) : int(top + tall), int(left) : int(left + wide)]
    how = cv2.INTER_AREA if tall > height else cv2.INTER_LINEAR
    shown = np.asarray(cv2.resize(image[window], (width, height), interpolation=how), np.uint8)
    seen = cv2.resize(codes[window], (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    seen = np.asarray(seen, np.uint8)
    if rng.random() < 0.5:
        shown, seen = np.ascontiguousarray(shown[:, ::-1]), np.ascontiguousarray(seen[:, ::-1])
    return shown, seen


def _start(first: int, length: int, window: float, limit: int, rng: np.random.Generator) -> float:
    """Returns the start of a window that shows all of a stretch, or as much of it as fits."""
    low, high = sorted((float(first), first + length - window))
    return float(np.clip(rng.uniform(low, high), 0, limit - window))
