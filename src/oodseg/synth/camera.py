"""Simulates what a camera does to an image: light, colour, weather, blur, noise, compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shoot(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Takes the finished scene with a random camera, so that pasted and real pixels share one history.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        rng: Source of every choice.

    Returns:
        uint8 `[H, W, 3]`.
    """
    image = _develop(image, rng)
    chance = rng.random(5)
    if chance[0] < 0.06:
        image = _fog(image, rng)
    if chance[1] < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.3)))
    if chance[2] < 0.08:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
        image = cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1))
    if chance[3] < 0.3:
        noise = rng.standard_normal(image.shape, np.float32) * float(rng.uniform(2, 10))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if chance[4] < 0.45:
        quality = int(rng.integers(35, 95))
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _develop(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, contrast, gamma and colour cast through one look-up table per channel; then saturation."""
    values = np.arange(256, dtype=np.float32) / 255
    gamma = float(np.exp(rng.normal(0, 0.2)))
    gain = float(np.exp(rng.normal(0, 0.14)))
    if rng.random() < 0.05:  # dusk and night
        gain *= float(rng.uniform(0.35, 0.7))
    contrast = float(np.exp(rng.normal(0, 0.18)))
    curve = ((values**gamma) - 0.45) * contrast + 0.45
    cast = np.exp(rng.normal(0, 0.06, 3)) * gain
    table = np.clip(curve[:, None] * cast[None] * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table.reshape(256, 1, 3))
    saturation = float(rng.uniform(0.3, 1.4)) if rng.random() < 0.6 else 1.0
    if saturation != 1.0:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)
    return image


def _fog(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height = image.shape[0]
    depth = np.linspace(1.0, 0.25, height, dtype=np.float32)[:, None, None]
    veil = depth * float(rng.uniform(0.2, 0.7))
    light = float(rng.uniform(150, 235))
    return np.asarray(image * (1 - veil) + light * veil, np.uint8)
