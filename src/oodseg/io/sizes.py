"""Bounds the size of images."""

from __future__ import annotations

from oodseg.core.errors import ImageError

MIN_SIDE = 16
MAX_PIXELS = 100_000_000


def check_size(height: int, width: int, name: str) -> None:
    """Checks the size of an image, as its header says, before anything is decoded.

    Raises:
        ImageError: It is too small or too large.
    """
    if min(height, width) < MIN_SIDE:
        raise ImageError(
            f"{name} is too small ({width}x{height} pixels): nothing can be found in an image with a side "
            f"under {MIN_SIDE} pixels: use a larger one"
        )
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{name} is too large ({width}x{height} pixels, at most {MAX_PIXELS // 1_000_000} megapixels): "
            "shrink it or cut it into tiles"
        )
