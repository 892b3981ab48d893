"""Turns the frames of a video as its display matrix says: a phone held upright, a mirrored camera."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_NUMBERS = struct.Struct("=9i")


def shown_size(height: int, width: int, matrix: bytes | None) -> tuple[int, int]:
    """Returns height and width of a frame as it is shown.

    Args:
        height: Rows as stored.
        width: Columns as stored.
        matrix: See `upright`.
    """
    return (width, height) if matrix is not None and _read(matrix)[0] else (height, width)


def upright(image: NDArray[np.uint8], matrix: bytes | None) -> NDArray[np.uint8]:
    """Turns and mirrors a frame to how it is shown; angles between quarter turns are rounded to these.

    Args:
        image: uint8 `[H, W, 3]` as stored.
        matrix: Nine fixed-point numbers as FFmpeg keeps them, by rows: a pixel at (x, y) is shown at
            (a x + c y, b x + d y), where a, b are the first two numbers of the first row and c, d those of
            the second. None for as stored.
    """
    if matrix is None:
        return image
    on_its_side, across, down = _read(matrix)
    shown = image.swapaxes(0, 1) if on_its_side else image
    return shown[:: -1 if down else 1, :: -1 if across else 1]


def _read(matrix: bytes) -> tuple[bool, bool, bool]:
    """Whether rows and columns change places, and are then mirrored from left to right and upside down."""
    a, b, _, c, d, *_ = _NUMBERS.unpack(matrix[: _NUMBERS.size])
    on_its_side = abs(b) + abs(c) > abs(a) + abs(d)
    return (True, c < 0, b < 0) if on_its_side else (False, a < 0, d < 0)
