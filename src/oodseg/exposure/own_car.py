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


def draw_star(rng: np.random.Generator) -> Cutout:
    """Draws a star in a ring, upright on a short stem: what some cars carry at the end of their bonnet.

    Cut from few frames it is learned with the road behind it; drawn it stands before any road.

    Args:
        rng: Source of every choice.

    Returns:
        The thing with its mask, some 100 pixels tall.
    """
    side, middle = 96, 48
    radius, thick = 44, int(rng.integers(4, 10))
    stem = int(rng.integers(0, 26))
    alpha = np.zeros((side + stem, side), np.float32)
    axes = (int(radius * rng.uniform(0.8, 1)), radius)
    cv2.ellipse(alpha, (middle, middle), axes, 0, 0, 360, 1.0, thick, cv2.LINE_AA)
    for turn in (-90, 30, 150):
        tip, across = np.deg2rad(turn), np.deg2rad(turn + 90)
        foot = np.array([np.cos(across), np.sin(across)]) * thick * 0.9
        point = np.array([np.cos(tip), np.sin(tip)]) * radius * 0.92
        spoke = np.stack([middle + foot, middle + point, middle - foot]).round().astype(np.int32)
        cv2.fillPoly(alpha, [spoke], 1.0, cv2.LINE_AA)
    if stem:
        cv2.rectangle(alpha, (middle - thick // 2, side - 4), (middle + thick // 2, side + stem), 1.0, -1)
    # Chrome: what it mirrors above is bright, below dark, or all is one grey against the light.
    above, below = float(rng.uniform(40, 250)), float(rng.uniform(20, 160))
    shade = np.linspace(above, below, side + stem)[:, None] + rng.normal(0, 12, alpha.shape)
    image = np.repeat(np.clip(shade, 0, 255)[..., None], 3, 2).astype(np.uint8)
    return Cutout(image, alpha)
