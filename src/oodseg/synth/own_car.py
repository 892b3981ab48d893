"""The car that carries the camera: its bonnet along the lower border, now and then a star upright on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.core.taxonomy import IGNORE
from oodseg.synth.paste import Cutout, cut_out, resized

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CANVAS = 192  # pixels on a side, on which a star is drawn before it is brought to its size


def own_car(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Cutout | None:
    """The camera's own car in a street image: what has no class along the lower border.

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
    """A star in a ring on its stem, as it stands before the road where a crop leaves the bonnet out.

    Args:
        rng: Source of every choice.

    Returns:
        The star, polished metal that mirrors the sky above and the ground below.
    """
    side = _CANVAS
    alpha = np.zeros((side, side), np.float32)
    centre = np.array([side / 2, 0.42 * side])
    radius = side * float(rng.uniform(0.33, 0.4))
    ring = max(3, round(radius * float(rng.uniform(0.09, 0.18))))
    cv2.circle(alpha, _pixel(centre), round(radius), 1.0, ring, cv2.LINE_AA)
    turn = float(rng.normal(0, 0.05))
    for spoke in range(3):
        angle = turn - np.pi / 2 + spoke * 2 * np.pi / 3
        ahead = np.array([np.cos(angle), np.sin(angle)])
        beside = np.array([-ahead[1], ahead[0]]) * radius * float(rng.uniform(0.09, 0.15))
        corners = [centre - beside, centre + ahead * radius, centre + beside]
        cv2.fillConvexPoly(alpha, np.array([_pixel(each) for each in corners]), 1.0, cv2.LINE_AA)
    foot = np.array([centre[0], side])
    cv2.line(alpha, _pixel(centre + np.array([0, radius])), _pixel(foot), 1.0, 2 * ring, cv2.LINE_AA)
    sky, ground = float(rng.uniform(90, 250)), float(rng.uniform(10, 110))
    height = np.linspace(0, 1, side)[:, None]
    # A mirror bent so: bright above, dark from where it shows the ground, streaked in between.
    shine = sky + (ground - sky) * np.clip(1.6 * height - 0.2, 0, 1)
    streaks = 35 * np.sin(np.linspace(0, float(rng.uniform(4, 14)), side)[None] + 9 * height)
    tint = 1 + rng.normal(0, 0.04, 3)
    metal = np.clip((shine + streaks)[..., None] * tint, 0, 255).astype(np.uint8)
    squeezed = (round(side * float(rng.uniform(0.6, 1.0))), side)  # seen a little from the side
    return resized(Cutout(metal, alpha), squeezed, shrinks=True)


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
