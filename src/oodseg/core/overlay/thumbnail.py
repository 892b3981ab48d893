"""A small image in which one sees at a glance where something was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodseg.core.objects import OodObject
from oodseg.core.overlay.contours import View, cut_out, margin_for, paint
from oodseg.core.overlay.figure import check_pixels
from oodseg.core.overlay.style import INK, colour_of, number_of

_LINE, _TINT = 2.2, 0.15
_SMALL, _GAP = 14, 5  # pixels of the thumbnail: a smaller object gets a frame, which keeps that distance


def draw_thumbnail(
    image: NDArray[np.uint8], objects: Sequence[OodObject], side: int = 480
) -> NDArray[np.uint8]:
    """Draws contours over a small copy of an image, without labels; tiny objects are framed.

    Args:
        image: The image, uint8 `[H, W, 3]` RGB.
        objects: What was found in it, most confident first.
        side: Longer side of the thumbnail in pixels; smaller images are not enlarged.

    Returns:
        uint8 `[h, w, 3]` RGB.

    Raises:
        ImageError: The image is no such array.
    """
    import cv2

    check_pixels(image)
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.array(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    view = View(0, 0, scale)
    margin = margin_for(_LINE, view)
    # Least confident first, so that the surest object lies on top.
    for position in reversed(range(len(objects))):
        found = objects[position]
        colour = colour_of(number_of(found, position))
        x, y, box_width, box_height = (value * scale for value in found.bbox)
        if max(box_width, box_height) < _SMALL:
            start = round(x - _GAP), round(y - _GAP)
            end = round(x + box_width + _GAP), round(y + box_height + _GAP)
            for line, ink in ((4, INK), (2, colour)):
                cv2.rectangle(canvas, start, end, ink, line, cv2.LINE_AA)
        else:
            paint(canvas, cut_out(found, margin), view, colour, _LINE, _TINT)
    return canvas
