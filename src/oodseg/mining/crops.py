"""Cuts a square around every object, with some of what surrounds it, and the object's outline in it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.core.objects import OodObject

SIDE = 320
"""Side of a crop, in pixels."""

_CONTEXT = 1.5  # side of the square, in sides of the object
_SMALLEST = 48  # of the image's pixels: a few pixels fill no crop


def region_of(found: OodObject) -> tuple[int, int, int]:
    """Chooses the square around an object that its crop covers.

    Returns:
        Left, top and side in pixels of the image; the square may reach outside.
    """
    x, y, width, height = found.bbox
    side = max(_SMALLEST, math.ceil(_CONTEXT * max(width, height)))
    return math.floor(x + (width - side) / 2), math.floor(y + (height - side) / 2), side


def cut(image: NDArray[np.uint8], region: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Cuts a square out of an image, uint8 `[H, W]` or `[H, W, 3]`; black outside of it.

    Returns:
        uint8 `[SIDE, SIDE]` or `[SIDE, SIDE, 3]`.
    """
    left, top, side = region
    height, width = image.shape[:2]
    square = np.zeros((side, side, *image.shape[2:]), np.uint8)
    rows = slice(max(0, top), min(height, top + side))
    columns = slice(max(0, left), min(width, left + side))
    square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[
        rows, columns
    ]
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    resized: NDArray[np.uint8] = cv2.resize(square, (SIDE, SIDE), interpolation=how)
    return resized


def cut_mask(found: OodObject, region: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Cuts an object's mask out like its image, uint8 `[SIDE, SIDE]`, 0..255; never empty."""
    crop = cut(found.mask.astype(np.uint8) * np.uint8(255), region)
    return crop if crop.any() else np.full_like(crop, 255)


def outline_of(mask: NDArray[np.uint8]) -> str:
    """Traces a mask as the path of an SVG in a view box of `SIDE` by `SIDE`, holes included."""
    contours, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    pieces = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, 0.7, True).reshape(-1, 2)
        pieces.append("M" + "L".join(f"{x} {y}" for x, y in points) + "Z")
    return "".join(pieces)
