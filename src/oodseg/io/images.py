"""Checks, reads and resizes images.

Every image becomes uint8 `[H, W, 3]` RGB, upright. Transparent pixels are laid on white, which is how
viewers show them; of animated or multi-page files the first frame is taken, with an `InputWarning`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, ImageError
from oodseg.io.depth import to_8_bit, warn_if_dark
from oodseg.io.formats import UnknownFormatError, pillow_formats, unknown_format
from oodseg.io.opening import open_image_file
from oodseg.io.pages import warn_of_pages
from oodseg.io.wide import brightest, is_wide

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Channels = Literal["rgb", "bgr"]
"""Order of the channels of an array; files and Pillow's images say themselves what is what."""

MIN_SIDE = 16
MAX_PIXELS = 100_000_000
_WIDE_GREY = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
_TIFF = frozenset({b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"})
_ORIENTATION, _FIRST_ON_ITS_SIDE = 0x0112, 5  # EXIF
_bomb_check = threading.Lock()


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
        image, wide = _load(path)
        warn_if_dark(brightest(image) if wide else 0, str(path))
        return _to_rgb(image, str(path))
    except UnknownFormatError:
        pixels = _read_tiff(path)
        if pixels is None:
            raise
        return pixels


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """Reads an image as Pillow has it, upright and decoded, in the file's own mode.

    Raises:
        ImageError: See `read_image`.
    """
    return _load(Path(path))[0]


def _load(path: Path) -> tuple[Image.Image, bool]:
    """The image, and whether its colours have 16 bits in the file."""
    with open_image(path) as image:
        warn_of_pages(image, str(path))
        wide = is_wide(image)
        return _upright(image, str(path)), wide


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
            _check_size(image.height, image.width, str(path))
            orientation = 1
            with suppress(Exception):  # a broken EXIF block does not make the pixels unreadable
                orientation = image.getexif().get(_ORIENTATION, 1)
            height, width = image.height, image.width
            if isinstance(image, TiffImageFile):  # its size is that of the upright image already
                height, width = int(image.tag_v2[IMAGELENGTH]), int(image.tag_v2[IMAGEWIDTH])
            return Header(height, width, orientation if orientation in range(1, 9) else 1)
    except UnknownFormatError:
        pixels = _read_tiff(path)
        if pixels is None:
            raise
        return Header(pixels.shape[0], pixels.shape[1], 1)


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


@contextmanager
def without_bomb_check() -> Iterator[None]:
    """Switches off Pillow's own limit while a header is read: ours is lower and says what to do."""
    from PIL import Image

    with _bomb_check:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(height: int, width: int, name: str) -> None:
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


def _upright(image: Image.Image, name: str) -> Image.Image:
    """Decodes an image and turns it as its EXIF orientation says."""
    from PIL import ImageOps

    _check_size(image.height, image.width, name)
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


def _to_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode in _WIDE_GREY:
        grey = to_8_bit(np.asarray(image), name)
        return np.ascontiguousarray(np.broadcast_to(grey[:, :, None], (*grey.shape, 3)))
    if image.has_transparency_data:
        above = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _read_tiff(path: Path) -> NDArray[np.uint8] | None:
    """A TIFF of a kind that Pillow cannot read, such as floats in RGB; None if it is no TIFF at all."""
    import cv2

    data = np.fromfile(path, np.uint8)
    if data[:4].tobytes() not in _TIFF:
        return None
    values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim not in {2, 3}:
        return None
    _check_size(values.shape[0], values.shape[1], str(path))
    if values.dtype != np.uint8:
        values = to_8_bit(values, str(path))
    colours = np.dstack([values] * 3) if values.ndim == 2 else values
    return np.ascontiguousarray(colours[:, :, 2::-1])  # BGR, and alpha where there is one


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
        _check_size(image.shape[0], image.shape[1], name)
        colours = np.dstack([image] * 3) if image.ndim == 2 else image
        return np.ascontiguousarray(colours[:, :, ::-1] if channels == "bgr" else colours)
    from PIL import Image

    if isinstance(image, Image.Image):
        return _to_rgb(_upright(image, name), name)
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
