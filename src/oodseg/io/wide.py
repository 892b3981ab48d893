"""Colours of 16 bits, of which Pillow keeps the upper 8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # EXIF


def is_wide(stored: Image) -> bool:
    """Tells whether an image that is not decoded yet holds colours (or grey and alpha) of 16 bits."""
    opened: Any = stored  # an image file: only these have tiles
    return ";16" in str(opened.tile) and not stored.mode.startswith("I")


def read_wide(path: Path, stored: Image) -> NDArray[Any]:
    """Reads all bits of such a file, upright.

    Args:
        path: The file.
        stored: It, as Pillow has opened it.

    Returns:
        `[H, W]` or `[H, W, C]`: blue, green, red, and alpha where there is one.

    Raises:
        ValueError: OpenCV cannot read it.
    """
    import cv2

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("colours in 16 bits")
    # TIFF files are turned by OpenCV already.
    orientation = 1 if stored.format == "TIFF" else stored.getexif().get(_ORIENTATION, 1)
    return np.ascontiguousarray(_upright(np.asarray(values), orientation))


def brightest(decoded: Image) -> int:
    """The largest value of such an image, of 65535, that the 8 bits which Pillow has kept allow."""
    colours = np.asarray(decoded)[..., : -1 if decoded.mode in {"LA", "RGBA"} else None]
    return 256 * int(colours.max()) + 255


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    turned = values.swapaxes(0, 1) if orientation >= 5 else values
    across, down = orientation in {2, 3, 6, 7}, orientation in {3, 4, 7, 8}
    return turned[:: -1 if down else 1, :: -1 if across else 1]
