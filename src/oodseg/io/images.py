"""Checks, reads and resizes images.

Every image becomes uint8 `[H, W, 3]` RGB, upright. Transparent pixels are laid on white, which is how
viewers show them; of animated or multi-page files the first frame is taken, with an `InputWarning`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, ImageError
from oodseg.io.depth import warn_if_dark
from oodseg.io.formats import UnknownFormatError, pillow_formats, unknown_format
from oodseg.io.modes import numbers_to_rgb, to_rgb
from oodseg.io.opening import open_image_file, without_bomb_check
from oodseg.io.pages import warn_of_pages
from oodseg.io.sizes import check_size
from oodseg.io.tiffs import read_tiff, read_tiff_header
from oodseg.io.wide import brightest, is_wide

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Channels = Literal["rgb", "bgr"]
"""Order of the channels of an array; files and Pillow's images say themselves what is what."""

_ORIENTATION, _FIRST_ON_ITS_SIDE = 0x0112, 5  # EXIF


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Reads an image from disk.

    JPEG, PNG, WebP, BMP, TIFF, PPM, GIF, AVIF, and HEIC with pillow-heif; grey, palette, transparent, 8 or 16
    bits per channel (0..65535 becomes 0..255), or floats in 0..1; rotated as its EXIF orientation says.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: Missing, a folder, empty, truncated, no image at all, or of a size outside 16 px per side
            to 100 megapixels (seen in the header, before anything is decoded).
    """
    path = Path(path)
    try:
        with open_image(path) as image:
            return _pixels(image, str(path))
    except UnknownFormatError:
        values = read_tiff(path.read_bytes(), str(path))
        if values is None:
            raise
        return numbers_to_rgb(values, str(path))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Reads an image from the bytes of its file, as `read_image` does.

    Args:
        data: The bytes, at least one.
        name: How errors and warnings call it.

    Raises:
        ImageError: See `read_image`.
    """
    try:
        with open_header(io.BytesIO(data), name) as image:
            return as_image(image, name)
    except UnknownFormatError:
        values = read_tiff(data, name)
        if values is None:
            raise
        return numbers_to_rgb(values, name)


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """Reads an image as Pillow has it, upright and decoded, in the file's own mode.

    Raises:
        ImageError: See `read_image`.
    """
    with open_image(Path(path)) as image:
        warn_of_pages(image, str(path))
        return _upright(image, str(path))


@dataclass(frozen=True)
class Header:
    """Holds the facts in the header of an image file.

    Attributes:
        height: Rows of the pixels as they are stored.
        width: Their columns.
        orientation: EXIF orientation: 1 upright (or not said), 2 to 4 mirrored or upside down, 5 to 8 on its
            side.
    """

    height: int
    width: int
    orientation: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what `read_image` gives: upright."""
        on_its_side = self.orientation >= _FIRST_ON_ITS_SIDE
        return (self.width, self.height) if on_its_side else (self.height, self.width)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Reads the header of an image, nothing else.

    Raises:
        ImageError: As `read_image`, as far as the header tells.
    """
    from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

    path = Path(path)
    try:
        with open_image(path) as image:
            check_size(image.height, image.width, str(path))
            orientation = 1
            with suppress(Exception):  # a broken EXIF block does not make the pixels unreadable
                orientation = image.getexif().get(_ORIENTATION, 1)
            height, width = image.height, image.width
            if isinstance(image, TiffImageFile):  # its size is that of the upright image already
                height, width = int(image.tag_v2[IMAGELENGTH]), int(image.tag_v2[IMAGEWIDTH])
            return Header(height, width, orientation if orientation in range(1, 9) else 1)
    except UnknownFormatError:
        about = read_tiff_header(path.read_bytes())
        if about is None:
            raise
        check_size(about.height, about.width, str(path))
        return Header(about.height, about.width, about.orientation)


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file without decoding it.

    Raises:
        ImageError: See `read_image`.
    """
    with open_image_file(path) as file, open_header(file, str(path)) as image:
        yield image


def open_header(file: Any, name: str) -> Image.Image:
    """Opens an image from a binary file without decoding it; `name` is what error messages call it.

    Raises:
        UnknownFormatError: It is no image.
        ImageError: Its header is broken.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with without_bomb_check():
            return Image.open(file, formats=pillow_formats())
    except UnidentifiedImageError:
        file.seek(0)
        raise unknown_format(file.read(12), name) from None
    except Exception as error:  # decoders raise all kinds of errors when the header is broken
        raise ImageError(f"{name} has a broken header ({error}): copy or export it again") from error


def _pixels(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Decodes an image, uint8 `[H, W, 3]`, and warns of what is odd about it."""
    warn_of_pages(image, name)
    wide = is_wide(image)
    upright = _upright(image, name)
    warn_if_dark(brightest(upright) if wide else 0, name)
    return to_rgb(upright, name)


def _upright(image: Image.Image, name: str) -> Image.Image:
    """Decodes an image and turns it as its EXIF orientation says."""
    from PIL import ImageOps

    check_size(image.height, image.width, name)
    try:
        image.load()
    except MemoryError:
        raise ImageError(
            f"{name} ({image.width}x{image.height} pixels) does not fit into memory: shrink it"
        ) from None
    except Exception as error:  # as for headers: OSError, SyntaxError, struct.error, IndexError, ...
        raise ImageError(f"{name} is truncated or damaged ({error}): copy or export it again") from error
    turned = image
    # A broken EXIF block does not make the pixels unreadable.
    with suppress(Exception):
        turned = ImageOps.exif_transpose(image)
    turned.format = image.format
    return turned


def as_image(image: Any, name: str = "the image", channels: Channels = "rgb") -> NDArray[np.uint8]:
    """Takes whatever an image may come as.

    Args:
        image: Path, `PIL.Image.Image`, or uint8 array `[H, W, 3]` or `[H, W]` (grey).
        name: How error messages call an image that has no path.
        channels: Order of an array's channels: `"bgr"` for images of OpenCV.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: Unreadable, of another type or shape, too small or too large.
        ConfigError: Another order of channels.
    """
    if channels not in {"rgb", "bgr"}:
        raise ConfigError(f"channels must be rgb or bgr, not '{channels}'")
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in {2, 3} or image.shape[2:] not in {(), (3,)}:
            raise ImageError(
                f"{name} is an array of {image.dtype} {list(image.shape)}: pass uint8 [H, W, 3] in RGB order"
            )
        check_size(image.shape[0], image.shape[1], name)
        colours = np.dstack([image] * 3) if image.ndim == 2 else image
        return np.ascontiguousarray(colours[:, :, ::-1] if channels == "bgr" else colours)
    from PIL import Image

    if isinstance(image, Image.Image):
        return _pixels(image, name)
    raise ImageError(
        f"{name} is a {type(image).__name__}: "
        "pass a path, a PIL image or a uint8 array [H, W, 3] in RGB order"
    )


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Turns uint8 `[H, W, 3]` into float32 `[3, H, W]` in 0..1."""
    import torch

    # Transposed while still bytes: a quarter of the memory traffic.
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float().div_(255.0)


def resize(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resizes `[H, W]` or `[H, W, C]` (uint8 or float32): area average to shrink, bilinear to enlarge."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: NDArray[Any] = cv2.resize(image, (width, height), interpolation=how)
    return resized
