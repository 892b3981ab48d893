"""The car that carries the camera: its bonnet along the lower border, now and then a star upright on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.core.taxonomy import IGNORE
from oodseg.synth.paste import Cutout, cut_out, paste, resized

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from oodseg.data.training import StreetImage

# Of the camera's own cars, the share of which only the star shows.
_STAR_ALONE = 0.4
_CANVAS = 192  # pixels on a side, on which a star is drawn before it is brought to its size


def own_car(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Cutout | None:
    """Cuts out the camera's own car: what has no class along the lower border.

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
    """Draws a star in a ring on its stem, as it stands before the road where a crop leaves the bonnet out.

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


class OwnCars:
    """Pastes the camera's own car below street scenes.

    Args:
        streets: Street images by source; the cars are those of the Cityscapes frames among them.
        size: Height and width of the scenes in pixels.
    """

    def __init__(self, streets: Mapping[str, Sequence[StreetImage]], size: tuple[int, int]) -> None:
        self._streets, self.size = streets, size
        self._cars: list[Cutout] | None = None

    def paste(
        self, image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Pastes the camera's own car along the lower border, or its star: of no class, and not unknown."""
        height, width = self.size
        if rng.random() < _STAR_ALONE:
            return self._paste_star(image, labels, rng)
        if self._cars is None:
            frames = self._streets.get("cityscapes_sample", [])
            squeezed = self._streets.get("cityscapes_640", [])
            frames = [*frames, *squeezed[:: max(1, len(squeezed) // 40)]]
            self._cars = [car for car in (own_car(*each.read()) for each in frames) if car is not None]
        if not self._cars:
            return np.zeros(self.size, bool)
        car = self._cars[int(rng.integers(len(self._cars)))]
        # As wide as the image in a whole one, wider in a part of one.
        scale = width * float(np.exp(rng.uniform(np.log(0.8), np.log(3)))) / car.alpha.shape[1]
        target = (round(car.alpha.shape[1] * scale), max(4, round(car.alpha.shape[0] * scale)))
        car = resized(car, target, shrinks=scale < 1)
        left = int(rng.integers(min(0, width - target[0]), max(1, width - target[0] + 1)))
        sunk = int(rng.integers(target[1] // 3 + 1))
        covered = paste(image, car, left, height - target[1] + sunk, rng)
        labels[covered] = IGNORE
        return covered

    def _paste_star(
        self, image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """The star of a camera's own car before the road, its bonnet below the border or out of sight."""
        height, width = self.size
        star = draw_star(rng)
        tall = height * float(np.exp(rng.uniform(np.log(0.05), np.log(0.4))))
        scale = tall / star.alpha.shape[0]
        star = resized(star, (max(3, round(star.alpha.shape[1] * scale)), max(4, round(tall))), shrinks=True)
        left = int(rng.uniform(0.1, 0.9) * width) - star.alpha.shape[1] // 2
        foot = int(height * rng.uniform(0.7, 1.0) + tall * rng.uniform(0, 0.3))
        covered = paste(image, star, left, foot - star.alpha.shape[0], rng)
        labels[covered] = IGNORE
        return covered
