"""Light and weather of a drawn scene, and what rain does to it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oodseg.synth.drawn_street import Place
from oodseg.synth.drawn_texture import Bytes, Colour, noise


@dataclass(frozen=True)
class Weather:
    """One kind of light.

    Attributes:
        gain: Factor on red, green and blue.
        zenith: Colour of the sky above.
        rim: Colour of the sky at the horizon, and of the air.
        clouds: Smallest and largest cloud cover.
        sun: Strength 0..1 of shadows beside things.
        fog: Smallest and largest extinction per metre.
    """

    gain: tuple[float, float, float]
    zenith: Colour
    rim: Colour
    clouds: tuple[float, float]
    sun: float
    fog: tuple[float, float] = (0.002, 0.008)


WEATHERS: dict[str, tuple[float, Weather]] = {
    "noon": (0.38, Weather((1.08, 1.03, 0.96), (92, 140, 206), (196, 212, 226), (0.0, 0.5), 1.0)),
    "overcast": (0.26, Weather((0.86, 0.88, 0.9), (168, 174, 182), (208, 210, 212), (0.4, 0.9), 0.0)),
    "dusk": (0.13, Weather((0.66, 0.58, 0.58), (84, 92, 130), (222, 170, 130), (0.2, 0.5), 0.3)),
    "fog": (0.11, Weather(
        (0.9, 0.91, 0.93), (196, 200, 204), (212, 215, 217), (0.0, 0.2), 0.0, (0.015, 0.035),
    )),
    "rain": (0.12, Weather(
        (0.66, 0.69, 0.73), (132, 140, 150), (176, 182, 188), (0.5, 0.9), 0.0, (0.006, 0.014),
    )),
}  # fmt: skip
"""Name to (how often, what it is)."""


def wet_ground(place: Place, rng: np.random.Generator) -> None:
    """Lets what stands on the ground shine in it, each column mirrored at the foot of what is above."""
    ground = place.labels <= 1
    v = np.arange(place.height, dtype=np.int32)[:, None]
    foot = np.maximum.accumulate(np.where(ground, 0, v), axis=0)
    mirrored = np.take_along_axis(place.image, np.clip(2 * foot - v, 0, None)[..., None], axis=0)
    blurred = cv2.GaussianBlur(mirrored, (0, 0), place.width / 320, sigmaY=place.height / 50)
    z = place.focal * place.eye / np.maximum(v - place.horizon, 1.0)
    puddles = 0.25 * noise(rng, place.height, place.width, "cloud", place.height / 400)
    # Grazing light is mirrored more; grass hardly at all.
    share = np.clip(0.16 + 0.012 * z + puddles * 0.6, 0.04, 0.6) * np.where(place.labels == 0, 1.0, 0.35)
    share = np.where(ground, share, 0.0).astype(np.float32)[..., None]
    mixed = place.image * (1 - share) * (1 - 0.35 * (share > 0)) + blurred * share
    place.image = np.clip(mixed, 0, 255).astype(np.uint8)


def rain_streaks(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Draws faint slanted streaks over the whole image."""
    height, width = image.shape[:2]
    length = max(5, height // 24)
    kernel = np.zeros((length, length), np.float32)
    lean = int(rng.integers(-length // 4, length // 4 + 1))
    cv2.line(kernel, (length // 2 - lean, 0), (length // 2 + lean, length - 1), 1.0)
    drops = np.maximum(noise(rng, height, width, "white") - 2.4, 0)
    streaks = cv2.filter2D(drops, cv2.CV_32F, kernel) * rng.uniform(12, 26)
    wet: Bytes = np.clip(image + np.minimum(streaks, 60)[..., None], 0, 255).astype(np.uint8)
    return wet
