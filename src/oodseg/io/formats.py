"""The image formats that are read, by file suffix and by Pillow's names."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from oodseg.core.errors import ImageError
from oodseg.core.files import LFS_MARK
from oodseg.core.installing import install_extra, install_package

if TYPE_CHECKING:
    from PIL.Image import Image

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pnm", ".gif", ".avif"),
    }
)
# Pillow tries only these decoders: others are rarely what a street image comes in, and some start programs.
_PLUGINS = {
    "JPEG": "Jpeg",
    "PNG": "Png",
    "WEBP": "WebP",
    "BMP": "Bmp",
    "TIFF": "Tiff",
    "PPM": "Ppm",
    "GIF": "Gif",
    "AVIF": "Avif",
}
_LOSSY = frozenset({"JPEG", "MPO", "WEBP", "AVIF", "HEIF"})
_LOSSY_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp"})
# What stands behind `ftyp` in the header of these files.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


class UnknownFormatError(ImageError):
    """A file that Pillow takes for no image.

    Attributes:
        name: What the message calls it.
        is_video: Whether it is a video: whoever takes these by another way than `oodseg predict` says so.
    """

    def __init__(self, message: str, name: str, is_video: bool = False) -> None:
        super().__init__(message)
        self.name, self.is_video = name, is_video


@cache
def reads_heif() -> bool:
    """Tells whether HEIC images can be read, which takes pillow-heif; makes Pillow read them then."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def is_readable(suffix: str) -> bool:
    """Tells whether files of that suffix (lower case, with its dot) are images that can be read here."""
    return suffix in SUFFIXES or (suffix in HEIF_SUFFIXES and reads_heif())


def is_lossy(image: Image) -> bool:
    """Tells whether the compression of an opened image file changes pixels, as far as its kind tells."""
    return image.format in _LOSSY or (image.format == "TIFF" and image.info.get("compression") in _LOSSY_TIFF)


@cache
def pillow_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read; those that its version lacks are left out."""
    from PIL import Image

    # Not all plugins, as Pillow itself would do: that takes a second.
    for module in _PLUGINS.values():
        with suppress(ImportError):
            import_module(f"PIL.{module}ImagePlugin")
    heif = ("HEIF",) if reads_heif() else ()
    return (*(name for name in _PLUGINS if name in Image.OPEN), *heif)


def missing_decoder(header: bytes) -> str | None:
    """Says what would read a file that Pillow takes for no image.

    Args:
        header: Its first 12 bytes or more.

    Returns:
        The name of the format and what to install, or that the file is damaged; None for all but HEIC and
        AVIF images, videos, PDF files and what stands for a file in Git LFS.
    """
    brand = header[8:12] if header[4:8] == b"ftyp" else b""
    read = pillow_formats()
    if (brand in _HEIF_BRANDS and "HEIF" in read) or (brand in _AVIF_BRANDS and "AVIF" in read):
        return f"a damaged {'HEIC' if brand in _HEIF_BRANDS else 'AVIF'} image: copy or export it again"
    if brand in _HEIF_BRANDS:
        return f"a HEIC image, which needs pillow-heif: install it with `{install_extra('heif')}`"
    if brand in _AVIF_BRANDS:
        return (
            "an AVIF image, which needs Pillow 11.3 or newer: install it with "
            f"`{install_package('pillow>=11.3')}`"
        )
    if _is_video(header):
        return "a video: give it to `oodseg predict` alone, or save its frames as images"
    if header[:12] == LFS_MARK[:12]:
        return "not there but in Git LFS: fetch it with `git lfs pull`"
    return "a PDF file: save its pages as images" if header[:4] == b"%PDF" else None


def _is_video(header: bytes) -> bool:
    """Tells whether a header that is none of an image is that of MP4, QuickTime, Matroska or AVI."""
    if header[4:8] == b"ftyp":
        return header[8:12] not in (*_HEIF_BRANDS, *_AVIF_BRANDS)
    riff = header[8:12] == b"AVI " and header[:4] == b"RIFF"
    return riff or header[:4] == b"\x1a\x45\xdf\xa3"


def unknown_format(header: bytes, name: str) -> UnknownFormatError:
    """Makes the error for a file that Pillow takes for no image.

    Args:
        header: Its first 12 bytes or more.
        name: What the message calls it.
    """
    fault = missing_decoder(header) or (
        "not an image, whatever its name says: use JPEG, PNG, WebP, BMP or TIFF"
    )
    return UnknownFormatError(f"{name} is {fault}", name, _is_video(header))
