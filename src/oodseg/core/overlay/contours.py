"""Outlines of any width, smooth at any scale, from the signed distance to the edge of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from oodseg.core.objects import OodObject
from oodseg.core.overlay.style import Colour

_HALO = (16, 18, 22)
_HALO_STRENGTH = 0.6


@dataclass(frozen=True)
class View:
    """The part of the image that a canvas shows, and its scale.

    Attributes:
        x: Column of the image at the left edge of the canvas.
        y: Row of the image at its upper edge.
        scale: Pixels of the canvas per pixel of the image.
    """

    x: float
    y: float
    scale: float


@dataclass(frozen=True, eq=False)
class Shape:
    """An object's mask, cut out with a margin.

    Attributes:
        x: Column of the image at which the cut begins.
        y: Row at which it begins.
        mask: Bool `[h, w]`.
        distance: Float32 `[h, w]`: pixels to the edge of the mask, positive inside; smoothed by less than a
            pixel, so that the staircase of the pixels does not show.
    """

    x: int
    y: int
    mask: NDArray[np.bool_]
    distance: NDArray[np.float32]


def cut_out(found: OodObject, margin: int) -> Shape:
    """Cuts an object out of its image.

    Args:
        found: The object.
        margin: Pixels kept around its mask, at least 1, where the image goes on that far.
    """
    x, y, width, height = (int(value) for value in found.bbox)
    rows = slice(max(0, y - margin), y + height + margin)
    columns = slice(max(0, x - margin), x + width + margin)
    mask = np.ascontiguousarray(found.mask[rows, columns])
    return Shape(columns.start, rows.start, mask, signed_distance(mask))


def signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Measures how far every pixel's centre lies from the edge of a mask.

    Args:
        mask: Bool `[h, w]`.

    Returns:
        Float32 `[h, w]`, positive inside, smoothed; where there is no edge at all, as if it were far away.
    """
    import cv2

    far = float(sum(mask.shape))
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # The edge lies half a pixel before the first centre on the other side.
    distance = np.where(mask, np.minimum(inside, far) - 0.5, 0.5 - np.minimum(outside, far))
    # Smoothing shrinks what is round: little of it where the object is a few pixels wide.
    sigma = min(0.9, 0.12 * float(np.sqrt(mask.sum())))
    return np.asarray(cv2.GaussianBlur(distance.astype(np.float32), (0, 0), max(sigma, 0.1)), np.float32)


def paint(
    canvas: NDArray[np.uint8], shape: Shape, view: View, colour: Colour, width: float, fill: float
) -> None:
    """Draws a shape onto a canvas, in place: a line just outside its edge on a dark halo, and a tint.

    Args:
        canvas: uint8 `[h, w, 3]` RGB.
        shape: What to draw, cut out with a margin of at least `margin_for(width, view)`.
        view: What the canvas shows.
        colour: Of line and tint, RGB.
        width: Of the line, in pixels of the canvas.
        fill: Strength of the tint, 0..1.
    """
    rows, row_offset = _span(shape.y, shape.mask.shape[0], view.y, view.scale, canvas.shape[0])
    columns, column_offset = _span(shape.x, shape.mask.shape[1], view.x, view.scale, canvas.shape[1])
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    distance = _resample(shape.distance, view.scale, rows, row_offset, columns, column_offset)
    part = canvas[rows, columns].astype(np.float32)
    _blend(part, colour, fill * _coverage(distance))
    _stroke(part, np.abs(distance + width / 2), colour, width)
    canvas[rows, columns] = np.rint(part).astype(np.uint8)


def paint_line(
    canvas: NDArray[np.uint8],
    start: tuple[float, float],
    end: tuple[float, float],
    colour: Colour,
    width: float,
) -> None:
    """Draws a straight line on a dark halo onto a canvas, in place.

    Args:
        canvas: uint8 `[h, w, 3]` RGB.
        start: `(x, y)` in pixels of the canvas.
        end: Likewise.
        colour: RGB.
        width: In pixels.
    """
    reach = ceil(width / 2 + _halo(width) + 1)
    left, right = (f(start[0], end[0]) for f in (min, max))
    top, bottom = (f(start[1], end[1]) for f in (min, max))
    rows = slice(max(0, floor(top) - reach), max(0, ceil(bottom) + reach))
    columns = slice(max(0, floor(left) - reach), max(0, ceil(right) + reach))
    part = canvas[rows, columns].astype(np.float32)
    y, x = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32)
    x, y = x + columns.start - start[0], y + rows.start - start[1]
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    share = np.clip((x * along_x + y * along_y) / max(along_x**2 + along_y**2, 1e-9), 0.0, 1.0)
    _stroke(part, np.hypot(x - share * along_x, y - share * along_y), colour, width)
    canvas[rows, columns] = np.rint(part).astype(np.uint8)


def _stroke(part: NDArray[np.float32], beside: NDArray[np.float32], colour: Colour, width: float) -> None:
    """Draws a line, in place, given every pixel's distance from its middle."""
    _blend(part, _HALO, _HALO_STRENGTH * _coverage(width / 2 + _halo(width) - beside))
    _blend(part, colour, min(1.0, width) * _coverage(width / 2 - beside))


def _blend(part: NDArray[np.float32], colour: Colour, strength: NDArray[np.float32]) -> None:
    part += strength[:, :, None] * (np.array(colour, np.float32) - part)


def margin_for(width: float, view: View) -> int:
    """Computes the pixels of the image that a line of that width and its halo need around a mask."""
    return ceil((width + _halo(width) + 1) / view.scale) + 2


def _halo(width: float) -> float:
    return max(1.0, 0.6 * width)


def _coverage(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the coverage of a pixel, 0..1, by a shape whose edge is at that distance from its centre."""
    return np.asarray(np.clip(distance + 0.5, 0.0, 1.0), np.float32)


def _span(start: int, length: int, origin: float, scale: float, limit: int) -> tuple[slice, float]:
    """Pixels of the canvas over a stretch of the image, and where in it the first of them lies."""
    first = max(0, floor((start - origin) * scale))
    last = min(limit, ceil((start + length - origin) * scale))
    return slice(first, last), (first + 0.5) / scale - 0.5 + origin - start


def _resample(
    distance: NDArray[np.float32],
    scale: float,
    rows: slice,
    row_offset: float,
    columns: slice,
    column_offset: float,
) -> NDArray[np.float32]:
    """Distances in pixels of the canvas, at the centres of its pixels."""
    import cv2

    height, width = rows.stop - rows.start, columns.stop - columns.start
    if scale == 1 and row_offset == int(row_offset) and column_offset == int(column_offset):
        row, column = int(row_offset), int(column_offset)
        return distance[row : row + height, column : column + width]
    matrix = np.array([[1 / scale, 0, column_offset], [0, 1 / scale, row_offset]])
    # Cubic, because linear interpolation would leave corners in what is enlarged.
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(distance, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found * np.float32(scale), np.float32)
