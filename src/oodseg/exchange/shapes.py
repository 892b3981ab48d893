"""Fills the shapes that people draw where a tool has no masks, and cuts masks out where a tool crops them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodseg.core.input_warnings import warn_input
from oodseg.core.objects import OodObject


def fill_polygon(points: ArrayLike, height: int, width: int) -> NDArray[np.bool_]:
    """Fills a polygon as COCO does.

    Args:
        points: `[N, 2]`, x and y in pixels; 0 is the outer edge of the first pixel.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        Bool `[H, W]`; empty for fewer than three points.
    """
    from pycocotools import mask as rle_tools

    corners = np.asarray(points, np.float64).reshape(-1, 2)
    if len(corners) < 3:
        return np.zeros((height, width), bool)
    merged = rle_tools.merge(rle_tools.frPyObjects([corners.ravel().tolist()], height, width))
    return np.asarray(rle_tools.decode(merged), bool)


def fill_box(
    left: float, top: float, right: float, bottom: float, height: int, width: int, degrees: float = 0.0
) -> NDArray[np.bool_]:
    """Fills a box, turned clockwise around its centre; see `fill_polygon`."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    return fill_polygon(turn(corners, corners.mean(0), degrees), height, width)


def fill_ellipse(
    centre: Sequence[float], radii: Sequence[float], height: int, width: int, degrees: float = 0.0
) -> NDArray[np.bool_]:
    """Fills an ellipse (centre and radii are x and y), turned clockwise; see `fill_polygon`."""
    angles = np.linspace(0.0, 2 * np.pi, 120, endpoint=False)
    rim = np.stack([np.cos(angles), np.sin(angles)], 1) * np.asarray(radii, np.float64)
    middle = np.asarray(centre, np.float64)
    return fill_polygon(turn(rim + middle, middle, degrees), height, width)


def turn(points: NDArray[np.float64], centre: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Turns points `[N, 2]` clockwise, as the image is seen."""
    angle = np.deg2rad(degrees)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray((points - centre) @ turned + centre, np.float64)


def warn_left_out(image: str, label: str, kind: str) -> None:
    """Warns of something drawn that has no inside, such as a point or a line."""
    warn_input(f"{image}: a {kind} labelled '{label}' covers no pixel and is left out: outline the object")


def cut_out(found: OodObject) -> tuple[int, int, NDArray[np.bool_]]:
    """Cuts a mask to the tightest box around it.

    Returns:
        Left and top of the box in pixels, and the mask in it, bool `[h, w]`.
    """
    left, top, width, height = (int(value) for value in found.bbox)
    return left, top, found.mask[top : top + height, left : left + width]


def put_back(cut: ArrayLike, left: int, top: int, height: int, width: int) -> NDArray[np.bool_]:
    """Puts a cut-out mask, bool `[h, w]`, into an image of a size; what lies outside is dropped."""
    part = np.asarray(cut, bool)
    mask = np.zeros((height, width), bool)
    rows, columns = slice(max(0, top), top + part.shape[0]), slice(max(0, left), left + part.shape[1])
    inside = mask[rows, columns]
    inside |= part[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]]
    return mask
