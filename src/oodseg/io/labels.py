"""Reads label images: the code of every pixel, however the file stores it.

A code is the grey value that a viewer shows, 0..255, or up to 65535 where 16 bits hold more than that. So it
stays the same when a tool stores the image in fewer bits, with a palette of greys, or as RGB. Where a palette
has colours, as labelling tools write it, the codes are its indices.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, ImageError
from oodseg.io.formats import is_lossy
from oodseg.io.opening import without_bomb_check
from oodseg.io.pages import count_pages
from oodseg.io.sizes import MAX_PIXELS
from oodseg.io.tiffs import read_tiff, read_tiff_header
from oodseg.io.wide import is_wide, read_wide

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

LABEL_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".pgm", ".ppm", ".gif", ".jpg", ".jpeg"})
_FORMATS = ("PNG", "TIFF", "BMP", "PPM", "GIF", "JPEG")
_PLAIN = frozenset({"L", "LA", "RGB", "RGBA", "F"})
_WHOLE = 1e-3  # how far a number may be from a whole one, as floats and slopes store those


def read_label(path: str | os.PathLike[str]) -> NDArray[np.uint16]:
    """Reads a label image: grey in 1 to 16 bits, a palette, or a copy of grey in RGB or RGBA.

    Returns:
        Codes, uint16 `[H, W]`, upright as its EXIF orientation says.

    Raises:
        DatasetError: Missing, damaged, too large, a JPEG, or a colour image.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"the label {path} is missing: unpack the set again")
    if path.stat().st_size == 0:
        raise DatasetError(f"the label {path} is empty (0 bytes): unpack the set again")
    try:
        # From an open file: by name, Pillow maps some TIFFs into memory and turns them wrongly.
        with path.open("rb") as file:
            with without_bomb_check():
                image = Image.open(file, formats=_FORMATS)
            return _read_codes(image, path)
    except DatasetError:
        raise
    except UnidentifiedImageError as error:
        values = _read_numbers(path)
        if values is None:
            raise DatasetError(
                f"the label {path} is not an image, whatever its name says: save it as PNG or unpack it again"
            ) from error
        return _codes(values, path)
    except Exception as error:  # decoders raise all kinds of errors
        raise DatasetError(f"the label {path} cannot be read ({error}): unpack the set again") from error


def whole_numbers(values: NDArray[Any], largest: int) -> NDArray[Any] | None:
    """Rounds numbers that are whole to about a thousandth; None if some are not, or not in 0..`largest`."""
    rounded = values if values.dtype.kind in "biu" else np.rint(values)
    near = rounded is values or bool((np.abs(values - rounded) <= _WHOLE).all())  # false for NaN
    return rounded if near and rounded.min() >= 0 and rounded.max() <= largest else None


def _read_codes(stored: ImageFile, path: Path) -> NDArray[np.uint16]:
    from PIL import ImageOps

    if is_lossy(stored):
        kind = "TIFF with JPEG compression, which" if stored.format == "TIFF" else "JPEG, whose compression"
        raise DatasetError(f"the label {path} is a {kind} changes codes: export it as PNG from the source")
    if stored.width * stored.height > MAX_PIXELS:
        raise DatasetError(
            f"the label {path} is too large ({stored.width}x{stored.height} pixels, at most "
            f"{MAX_PIXELS // 1_000_000} megapixels): shrink it or cut it into tiles, and its image with it"
        )
    _check_single(count_pages(stored), path)
    wide, largest = is_wide(stored), _largest(stored)
    stored.load()
    image: Image = stored
    with suppress(Exception):  # a broken EXIF block does not make the pixels unreadable
        image = ImageOps.exif_transpose(stored)
    if image.mode == "P":
        return _palette_codes(image)
    values = read_wide(path, stored) if wide else np.asarray(_plain(image))
    if largest is not None:  # Pillow has brought them to 0..255, or to 0..65535 above that
        values = np.rint(values * (largest / (255 if largest < 256 else 65535)))
    return _codes(values, path)


def _largest(stored: ImageFile) -> int | None:
    """The largest value that a PGM or PPM names, where that is a count of codes and not what white is."""
    if stored.format != "PPM" or not stored.tile:
        return None
    named = stored.tile[0][3]
    largest = named[-1] if isinstance(named, tuple) else None
    whole = isinstance(largest, int) and largest < 256 and (largest & (largest + 1)) == 0
    return largest if isinstance(largest, int) and not whole and largest != 65535 else None


def _read_numbers(path: Path) -> NDArray[Any] | None:
    """The numbers of a TIFF of a kind that Pillow cannot read, such as float64; None if it is none."""
    data = path.read_bytes()
    header = read_tiff_header(data)
    if header is not None:
        _check_single(header.pages, path)
    try:
        return read_tiff(data, str(path))
    except ImageError as error:
        raise DatasetError(f"the label {error}") from error


def _check_single(pages: int, path: Path) -> None:
    if pages > 1:
        raise DatasetError(
            f"the label {path} holds {pages} images: save the codes of all classes as one image, as PNG"
        )


def _codes(values: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    """The codes that an image's numbers, `[H, W]` or `[H, W, C]`, stand for."""
    codes = whole_numbers(values if values.ndim == 2 else _grey(values, path), 65535)
    if codes is None:
        raise DatasetError(
            f"the label {path} holds numbers that are not codes: use the label that holds whole numbers"
        )
    return _narrow(codes.astype(np.uint16))


def _plain(image: Image) -> Image:
    """The image in a mode whose array holds grey, or channels of colour and then alpha."""
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _PLAIN or image.mode.startswith("I") else image.convert("RGBA")


def _palette_codes(image: Image) -> NDArray[np.uint16]:
    """Grey values where the palette has no colours and tells the indices apart, else the indices."""
    indices = np.asarray(image)
    colours = np.zeros((256, 3), np.uint8)
    stored = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(stored)] = stored
    grey = colours[:, 0]
    used = np.unique(indices)
    if (colours != grey[:, None]).any() or len(np.unique(grey[used])) < len(used):
        return np.asarray(indices, np.uint16)
    return np.asarray(grey[indices], np.uint16)


def _grey(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """The one channel that all are copies of, `[H, W]`."""
    has_alpha = values.shape[2] in {2, 4}
    colours = values[..., :-1] if has_alpha else values
    grey = colours[..., 0]
    if (colours != grey[..., None]).any():
        raise DatasetError(
            f"the label {path} is a colour image: use the label that holds class codes (one grey channel)"
        )
    # Transparent black is what painting programs make of what was never painted.
    opaque = 1.0 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    if has_alpha and grey[values[..., -1] < opaque].any():
        raise DatasetError(
            f"the label {path} is transparent where it holds codes: save it without an alpha channel"
        )
    return np.asarray(grey)


def _narrow(codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Undoes the copying of 8 bits into 16: 1 as 257, 255 as 65535."""
    copied = codes.max() > 255 and not (codes % np.uint16(257)).any()
    return np.asarray(codes // np.uint16(257) if copied else codes)
