"""The car that carries the camera: its bonnet along the lower border, now and then a star upright on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.datasets.training import IGNORE
from oodseg.exposure.paste import Cutout, cut_out, resized

if TYPE_CHECKING:
    from numpy.typing import NDArray


def own_car(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Cutout | None:
    """The camera's own car in a street picture: what has no class along the lower border.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        labels: uint8 `[H, W]`, street classes or 255.

    Returns:
        The car at half its size; None where none shows.
    """
    height, width = labels.shape
    low = int(0.6 * height)
    parts = cv2.connectedComponents((labels[low:] == IGNORE).astype(np.uint8))[1]
    below = np.bincount(parts[-1], minlength=2)
    below[0] = 0
    if below.max() < width // 3:
        return None
    car = cut_out(image[low:], parts == int(below.argmax()))
    if car is None:
        return None
    half = (max(4, car.alpha.shape[1] // 2), max(4, car.alpha.shape[0] // 2))
    return resized(car, half, shrinks=True)
