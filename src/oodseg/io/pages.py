"""Counts the images in one file: frames of an animation, pages of a TIFF."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from oodseg.core.input_warnings import warn_input

if TYPE_CHECKING:
    from PIL.Image import Image

# What lies beside the image in an MPO or a HEIC file (depth, previews) is no image of its own.
_SEVERAL = frozenset({"GIF", "TIFF", "WEBP", "PNG", "AVIF"})


def count_pages(image: Image) -> int:
    """Counts the images in an open file that is not decoded yet, smaller copies of the first left out."""
    if image.format not in _SEVERAL:
        return 1
    opened: Any = image  # these decoders count what they hold
    try:
        count = int(opened.n_frames)
        if count == 1 or image.format != "TIFF":
            return count
        sizes = []
        for page in range(count):
            image.seek(page)
            sizes.append(image.size)
        image.seek(0)
        return sizes.count(sizes[0])
    except Exception:  # decoders raise all kinds of errors; the first image may be whole
        with suppress(Exception):  # an image whose file is closed
            image.seek(0)
        return 1


def warn_of_pages(image: Image, name: str) -> None:
    """Warns of a file with several images, of which only the first is looked at.

    Whoever has chosen another one of them already, as Python allows, is not warned.
    """
    if image.tell() == 0:
        warn_if_several(count_pages(image), name)


def warn_if_several(pages: int, name: str) -> None:
    """Warns of a file with so many images, of which only the first is looked at."""
    if pages > 1:
        warn_input(
            f"{name} holds {pages} images, of which the first is taken: save the others as files of their own"
        )
