"""Reads images that come as bytes from someone unknown."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.io.formats import UnknownFormatError
from oodseg.io.images import decode_image as decode
from oodseg.io.images import open_header
from oodseg.io.sizes import MAX_PIXELS, check_size
from oodseg.io.tiffs import read_tiff_header


class TooManyPixelsError(ImageError):
    """An image larger than is allowed, as its header says; nothing was decoded."""


def read_size(data: bytes, name: str = "the image", max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Reads height and width from the header of an encoded image; nothing is decoded.

    Args:
        data: The content of an image file.
        name: How error messages call it.
        max_pixels: Most pixels allowed.

    Raises:
        UnknownFormatError: The bytes are no image.
        TooManyPixelsError: The image is larger than allowed.
        ImageError: There are no bytes, the header is broken, or a side is too short.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): send its content")
    try:
        with open_header(io.BytesIO(data), name) as image:
            height, width = image.height, image.width
    except UnknownFormatError:
        about = read_tiff_header(data)
        if about is None:
            raise
        height, width = about.height, about.width
    if height * width > max_pixels:
        raise TooManyPixelsError(
            f"{name} has {width}x{height} pixels, at most {max_pixels:,} are allowed here: shrink it"
        )
    check_size(height, width, name)
    return height, width


def decode_image(data: bytes, name: str = "the image", max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decodes an image, turned as its EXIF orientation says.

    Args:
        data: The content of an image file.
        name: How error messages call it.
        max_pixels: Most pixels allowed.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: As `read_size`, or the image is truncated or damaged.
    """
    read_size(data, name, max_pixels)
    return decode(data, name)
