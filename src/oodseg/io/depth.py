"""Images of more than 8 bits per channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.core.input_warnings import warn_input

_TWELVE_BITS = 1 << 12


def to_8_bit(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Brings pixels of 16 bits (0..65535) or floats in 0..1 to 0..255.

    Args:
        values: Of any shape.
        name: How the error calls the image.

    Raises:
        ImageError: Pixels outside of that, or none but NaN.
    """
    if np.issubdtype(values.dtype, np.floating):
        low, high = float(np.nanmin(values, initial=np.inf)), float(np.nanmax(values, initial=-np.inf))
        missing = int(np.count_nonzero(np.isnan(values)))
        if missing == values.size:
            raise ImageError(f"{name} holds no number but NaN: export it again")
        if missing:
            warn_input(f"{name}: {missing} of {values.size} numbers are NaN and count as black")
        if not (low >= 0.0 and high <= 1.0):
            raise ImageError(
                f"{name} holds floating-point pixels outside 0..1 ({low:g} to {high:g}): "
                "save it with 8 or 16 bits per channel"
            )
        return np.asarray(np.rint(np.nan_to_num(values) * 255.0), np.uint8)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(
            f"{name} holds pixel values outside 0..65535 ({low} to {high}): "
            "save it with 8 or 16 bits per channel"
        )
    warn_if_dark(high, name)
    return np.asarray(np.rint(values.astype(np.float32) / 257.0), np.uint8)


def warn_if_dark(brightest: int, name: str) -> None:
    """Warns of an image of 16 bits whose pixels fill 12 or fewer, as many cameras write them.

    Args:
        brightest: Its largest value, of 65535.
        name: What the warning calls it.
    """
    if 0 < brightest < _TWELVE_BITS:
        warn_input(
            f"{name} has 16 bits per channel and no value above {brightest}, so it is almost black: multiply "
            "its values so that white is 65535"
        )
