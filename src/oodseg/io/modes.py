"""Brings pixels of all kinds to RGB with 8 bits: Pillow's modes, and the numbers of TIFF files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.io.depth import to_8_bit

if TYPE_CHECKING:
    from PIL.Image import Image

_WIDE_GREY = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N", "F"})


def to_rgb(image: Image, name: str) -> NDArray[np.uint8]:
    """Converts an image of Pillow, in any of its modes; transparent pixels lie on white.

    Args:
        image: Decoded.
        name: How errors and warnings call it.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: Its numbers are no colours, or Pillow cannot convert its mode.
    """
    from PIL import Image

    if image.mode in _WIDE_GREY:
        grey = to_8_bit(np.asarray(image), name)
        return np.ascontiguousarray(np.broadcast_to(grey[:, :, None], (*grey.shape, 3)))
    try:
        if image.mode == "La":  # grey that was multiplied by its alpha already
            image = image.convert("LA")
        if image.has_transparency_data:
            above = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
        return np.array(image.convert("RGB"), dtype=np.uint8)
    except ValueError as error:
        raise ImageError(
            f"{name} has pixels of a kind that cannot become colours (mode {image.mode}): convert it to RGB"
        ) from error


def numbers_to_rgb(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Converts the numbers of a TIFF file, `[H, W]` or `[H, W, C]` as `oodseg.io.tiffs.read_tiff` gives them.

    Raises:
        ImageError: They are no colours.
    """
    from PIL import Image

    channels = values.shape[2:] or (1,)
    if channels not in {(1,), (3,), (4,)}:
        raise ImageError(f"{name} has {channels[0]} channels: save it in grey or RGB")
    narrow = values if values.dtype == np.uint8 else to_8_bit(values, name)
    if channels == (1,):
        return np.dstack([narrow.reshape(narrow.shape[:2])] * 3)
    if channels == (3,):
        return np.ascontiguousarray(narrow[:, :, ::-1])
    return to_rgb(Image.fromarray(np.ascontiguousarray(narrow[:, :, [2, 1, 0, 3]])), name)
