"""Outlines an object again in a larger box where its mask runs out of what could be seen around the first.

A prompt generator boxes parts of long or large objects. The mask drawn from such a box ends where the crop
ends, in a straight cut; a new box around that mask moves the crop on, until the object ends within it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 3
# A mask on at least this share of one side of its crop is cut off there.
EDGE_SHARE = 0.05
# A mask in a larger box that loses more of the first mask than this share keeps is another object's.
HELD_SHARE = 0.7

Outline = Callable[["NDArray[np.float32]"], "tuple[NDArray[np.bool_], NDArray[np.float32]]"]


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Finds the smallest `xyxy` rectangle, in pixel edges, around a mask that is not empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def is_cut_off(mask: NDArray[np.bool_], region: NDArray[np.float32]) -> bool:
    """Tells whether a mask runs along a side of its crop that lies inside the image.

    Args:
        mask: Bool `[H, W]`.
        region: What the crop covers, `xyxy` in pixels; may reach outside the image.
    """
    height, width = mask.shape
    low, high = np.ceil(region[:2] - 0.5).astype(int), np.floor(region[2:] - 0.5).astype(int)
    (left, top), (right, bottom) = low.tolist(), high.tolist()
    along = [mask[top] if top > 0 else None, mask[bottom] if bottom < height - 1 else None]
    across = [mask[:, left] if left > 0 else None, mask[:, right] if right < width - 1 else None]
    return any(
        side is not None and np.count_nonzero(side) > EDGE_SHARE * (stop - start + 1)
        for sides, start, stop in ((along, left, right), (across, top, bottom))
        for side in sides
    )


def outline_whole(outline: Outline, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Outlines objects, and those that are cut off again in the box of what was seen of them.

    Args:
        outline: Boxes float32 `[N, 4]`, `xyxy` in pixels, to masks bool `[N, H, W]` and to what their crops
            cover, float32 `[N, 4]`, `xyxy`.
        boxes: Float32 `[N, 4]`.

    Returns:
        Bool `[N, H, W]`.
    """
    masks, regions = outline(boxes)
    open_ends = list(range(len(boxes)))
    for _ in range(ROUNDS):
        open_ends = [
            place for place in open_ends if masks[place].any() and is_cut_off(masks[place], regions[place])
        ]
        if not open_ends:
            break
        wider = np.array([tight_box(masks[place]) for place in open_ends], np.float32)
        found = zip(list(open_ends), *outline(wider), strict=True)
        open_ends = []
        for place, mask, region in found:
            if np.count_nonzero(mask & masks[place]) >= HELD_SHARE * np.count_nonzero(masks[place]):
                masks[place], regions[place] = mask, region
                open_ends.append(place)
    return masks
