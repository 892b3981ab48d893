"""A picture with the one object in it that a box will ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shot:
    """A picture, the one object in it that a box will ask for, and the other objects.

    Attributes:
        picture: Uint8 `[H, W, 3]`, RGB.
        target: Bool `[H, W]`, not empty.
        others: Bool `[H, W]`: what a detector may take for an object as well.
    """

    picture: Picture
    target: Mask
    others: Mask
