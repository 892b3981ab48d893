"""Cleans up the raw mask of every promptable segmenter: no stray pixels, never an empty mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A box that was scaled between two image sizes misses whole pixels by float32 noise; rounded
# outwards as it is, it would gain a row.
_SLACK = 1e-2
# Components below this share of a mask's area are specks.
SMALLEST_SHARE = 0.02


def box_pixels(box: Sequence[float], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of an image that a box covers, rounded outwards and clipped to the image.

    Args:
        box: `xyxy` in pixels, any place and size.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        At least one pixel for a box that touches the image, however thin; empty slices for others.
    """
    x0, y0, x1, y1 = box
    if x1 < 0 or y1 < 0 or x0 > width or y0 > height:
        return slice(0, 0), slice(0, 0)
    left = min(max(math.floor(x0 + _SLACK), 0), width - 1)
    top = min(max(math.floor(y0 + _SLACK), 0), height - 1)
    right = min(max(math.ceil(x1 - _SLACK), left + 1), width)
    bottom = min(max(math.ceil(y1 - _SLACK), top + 1), height)
    return slice(top, bottom), slice(left, right)


def drop_strays(
    mask: NDArray[np.bool_], box: tuple[slice, slice], smallest_share: float = SMALLEST_SHARE
) -> NDArray[np.bool_]:
    """Keeps the components (8-connected) that reach into the box and are no specks.

    Args:
        mask: Bool `[H, W]`.
        box: Rows and columns of `mask` that the box covers.
        smallest_share: Components below this share of the mask's area are specks, 0..1.
    """
    import cv2
    import numpy as np

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest_share * stats[1:, cv2.CC_STAT_AREA].sum()
    keep &= np.isin(np.arange(count), labels[box])
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels]
    return kept
