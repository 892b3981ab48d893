"""Reads masks that were painted: what is not black, and not transparent, counts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.core.input_warnings import warn_input
from oodseg.io.formats import UnknownFormatError, is_lossy
from oodseg.io.images import load_image, open_image
from oodseg.io.tiffs import read_tiff
from oodseg.io.wide import is_wide, read_wide


def read_mask(path: str | os.PathLike[str]) -> NDArray[np.bool_]:
    """Reads a mask drawn as an image: True where it is painted in any colour but black.

    It may hold 0 and 1, 0 and 255, a palette or colours; transparent pixels are not painted. In files whose
    compression leaves traces around what was painted (JPEG, WebP, AVIF, HEIC), pixels must be half as bright
    as the brightest.

    Returns:
        Bool `[H, W]`; all false, with an `InputWarning`, where nothing is painted.

    Raises:
        ImageError: As `read_image`, or the mask covers everything.
    """
    bright, lossy = _brightness(path)
    mask: NDArray[np.bool_] = half_as_bright(bright) if lossy else bright > 0
    if mask.all():
        raise ImageError(f"{os.fspath(path)} is white all over: paint black what is to be looked at")
    if not mask.any():
        warn_input(f"{os.fspath(path)} is black all over, so it covers nothing: paint it in any other colour")
    return mask


def read_brightness(path: str | os.PathLike[str]) -> NDArray[np.uint16]:
    """Reads how brightly a mask is painted: its brightest channel, uint16 `[H, W]`; 0 where transparent.

    Raises:
        ImageError: As `read_image`.
    """
    return _brightness(path)[0]


def half_as_bright(brightness: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Tells which pixels are half as bright as the brightest, bool `[H, W]`: a mask with soft edges."""
    return np.asarray(brightness > brightness.max() // 2)


def _brightness(path: str | os.PathLike[str]) -> tuple[NDArray[np.uint16], bool]:
    """Brightness, and whether the file's compression may have changed it."""
    try:
        with open_image(Path(path)) as stored:
            lossy, wide = is_lossy(stored), is_wide(stored)
    except UnknownFormatError:
        values = read_tiff(Path(path).read_bytes(), os.fspath(path))
        if values is None:
            raise
        return _brightest(values), False
    image = load_image(path)
    if wide:
        return _wide_brightness(Path(path)), lossy
    if image.mode == "F" or image.mode.startswith("I"):
        return _brightest(np.asarray(image)), lossy
    values = np.asarray(image.convert("RGBA"))
    bright = np.where(values[..., 3] > 0, values[..., :3].max(axis=2), 0)
    return bright.astype(np.uint16), lossy


def _wide_brightness(path: Path) -> NDArray[np.uint16]:
    """Brightness of colours of 16 bits, or of grey and alpha."""
    with open_image(path) as stored:
        values = read_wide(path, stored)
    return _brightest(values)


def _brightest(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Brightness of numbers of any kind, `[H, W]` or `[H, W, C]`, alpha last where there is one."""
    colours = values[..., :3] if values.ndim == 3 else values[..., None]
    painted = values[..., 3] > 0 if values.shape[2:] == (4,) else True
    bright = np.where(painted, colours.max(axis=2), 0)
    if bright.dtype.kind == "f":  # of 0..1, or of anything
        bright = np.ceil(np.nan_to_num(bright))
    return np.asarray(bright.clip(0, 65535), np.uint16)
