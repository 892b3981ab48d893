"""An image with the one object in it that a box will ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shot:
    """An image, the one object in it that a box will ask for, and the other objects.

    Attributes:
        image: Uint8 `[H, W, 3]`, RGB.
        target: Bool `[H, W]`, not empty.
        others: Bool `[H, W]`: what a detector may take for an object as well.
    """

    image: Image
    target: Mask
    others: Mask
