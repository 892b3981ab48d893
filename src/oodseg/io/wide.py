"""Colours of 16 bits, of which Pillow keeps the upper 8."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.io.opening import without_bomb_check

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # EXIF


def is_wide(stored: Image) -> bool:
    """Tells whether an image that is not decoded yet holds colours (or grey and alpha) of 16 bits."""
    opened: Any = stored  # an image file: only these have tiles
    with suppress(AttributeError):
        return ";16" in str(opened.tile) and not stored.mode.startswith("I")
    return False


def read_wide(path: Path, stored: Image) -> NDArray[Any]:
    """Reads all bits of such a file, upright.

    Args:
        path: The file.
        stored: It, as Pillow has opened it.

    Returns:
        `[H, W]` or `[H, W, C]`: blue, green, red, and alpha where there is one.

    Raises:
        ValueError: OpenCV cannot read it.
    """
    import cv2

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("colours in 16 bits")
    return _upright(np.asarray(values), _left_to_turn(stored))


def turn_upright(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Turns what OpenCV has read of a PNG or TIFF, `[H, W]` or `[H, W, C]`, as its EXIF orientation says."""
    from PIL.Image import open as open_image

    orientation = 1
    # What Pillow cannot read is a TIFF, and a broken EXIF block does not make the pixels unreadable.
    with suppress(Exception), without_bomb_check(), open_image(path, formats=("PNG", "TIFF")) as stored:
        orientation = _left_to_turn(stored)
    return _upright(values, orientation)


def brightest(decoded: Image) -> int:
    """The largest value of such an image, of 65535, that the 8 bits which Pillow has kept allow."""
    colours = np.asarray(decoded)[..., : -1 if decoded.mode in {"LA", "RGBA"} else None]
    return 256 * int(colours.max()) + 255


def _left_to_turn(stored: Image) -> int:
    """The orientation of an image that OpenCV does not see to itself."""
    return 1 if stored.format == "TIFF" else int(stored.getexif().get(_ORIENTATION, 1))


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    turned = values.swapaxes(0, 1) if orientation >= 5 else values
    across, down = orientation in {2, 3, 6, 7}, orientation in {3, 4, 7, 8}
    return np.ascontiguousarray(turned[:: -1 if down else 1, :: -1 if across else 1])
