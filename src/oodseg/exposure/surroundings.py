"""Other surroundings for a street: country in place of town, and shadows on the ground.

Nothing here is an object, and all of it counts as nothing unknown: a network that has seen only town
streets otherwise takes every meadow, gravel bank and tree shadow for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def blobs(size: tuple[int, int], share: float, cell: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth random patches.

    Args:
        size: Height and width.
        share: About how much of the picture they cover, 0..1.
        cell: Size of a patch in pixels.
        rng: Source of every choice.

    Returns:
        Float32 `[H, W]` in 0..1 with soft edges.
    """
    height, width = size
    grid = rng.standard_normal(
        (max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)), np.float32
    )
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    level = float(np.quantile(field[::4, ::4], 1 - share))
    softness = float(rng.uniform(0.03, 0.25))
    result: NDArray[np.float32] = np.clip((field - level) / softness + 0.5, 0, 1)
    return result


def replace_surroundings(
    image: NDArray[np.uint8],
    nature: NDArray[np.uint8],
    where: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Puts another picture in place of a part of a street, in place.

    Args:
        image: uint8 `[H, W, 3]`, changed in place.
        nature: uint8 `[H, W, 3]`: what comes there.
        where: Bool `[H, W]`: the part.
        rng: Source of every choice.

    Returns:
        Bool `[H, W]`: the pixels that are mostly of the other picture now.
    """
    alpha = cv2.GaussianBlur(where.astype(np.float32), (0, 0), float(rng.uniform(0.6, 3.0)))
    mixed = alpha[..., None]
    image[:] = (image * (1 - mixed) + nature * mixed + 0.5).astype(np.uint8)
    return np.asarray(alpha > 0.5)


def cast_shadows(image: NDArray[np.uint8], where: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Darkens patches of the ground in place: dappled as under trees, or one large edge as of a house.

    Args:
        image: uint8 `[H, W, 3]`, changed in place.
        where: Bool `[H, W]`: the ground.
        rng: Source of every choice.
    """
    height, width = where.shape
    if rng.random() < 0.6:
        dark = blobs((height, width), float(rng.uniform(0.2, 0.6)), float(rng.uniform(8, 60)), rng)
    else:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3) * width
        ys, xs = np.mgrid[:height, :width].astype(np.float32)
        distance = (xs - width / 2) * np.cos(angle) + (ys - 0.7 * height) * np.sin(angle) - offset
        dark = np.clip(distance / float(rng.uniform(1, 6)), 0, 1).astype(np.float32)
    strength = float(rng.uniform(0.25, 0.65))
    # Shadows are lit by the sky alone: blue loses least.
    tint = np.array([1.0, 0.97, 0.9], np.float32) * strength
    image[:] = (image * (1 - (dark * where)[..., None] * tint)).astype(np.uint8)
