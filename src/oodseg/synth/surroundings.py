"""Other surroundings for a street: country in place of town, shadows and markings on the ground.

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
    """Draws smooth random patches.

    Args:
        size: Height and width.
        share: About how much of the image they cover, 0..1.
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
    """Puts another image in place of a part of a street, in place.

    Args:
        image: uint8 `[H, W, 3]`, changed in place.
        nature: uint8 `[H, W, 3]`: what comes there.
        where: Bool `[H, W]`: the part.
        rng: Source of every choice.

    Returns:
        Bool `[H, W]`: the pixels that are mostly of the other image now.
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


def mark_ground(image: NDArray[np.uint8], where: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Puts flat things on the ground in place: paint, chalk, manholes, mended asphalt, wet patches.

    They lie on the ground, so they are seen from low above: wide and squeezed, more so far away.

    Args:
        image: uint8 `[H, W, 3]`, changed in place.
        where: Bool `[H, W]`: the ground.
        rng: Source of every choice.
    """
    rows, columns = np.nonzero(where[::4, ::4])
    if not len(rows):
        return
    height, width = where.shape
    for _ in range(int(rng.integers(1, 5))):
        pick = int(rng.integers(len(rows)))
        centre = np.array([columns[pick] * 4, rows[pick] * 4], np.float32)
        nearness = float(centre[1] + 1) / height
        wide = float(np.exp(rng.uniform(np.log(6), np.log(0.35 * width)))) * (0.2 + nearness)
        cover = np.zeros((height, width), np.float32)
        _draw_flat(cover, centre, wide, max(2.0, wide * float(rng.uniform(0.12, 0.5))), rng)
        cover = cv2.GaussianBlur(cover, (0, 0), float(rng.uniform(0.4, 1.2)))
        if rng.random() < 0.6:  # worn paint
            worn = blobs((height, width), 0.4, float(rng.uniform(3, 20)), rng)
            cover *= 1 - float(rng.uniform(0, 0.9)) * worn
        colour = _paint(rng) if rng.random() < 0.6 else _ground_tone(image, where, rng)
        opacity = (cover * where * float(rng.uniform(0.35, 1.0)))[..., None]
        image[:] = (image * (1 - opacity) + colour * opacity + 0.5).astype(np.uint8)


def _draw_flat(
    cover: NDArray[np.float32],
    centre: NDArray[np.float32],
    wide: float,
    tall: float,
    rng: np.random.Generator,
) -> None:
    """One flat shape of that extent: a filled ellipse or polygon, or strokes."""
    kind, extent = rng.random(), np.array([wide, tall], np.float32) / 2
    if kind < 0.2:
        axes = (max(1, int(extent[0])), max(1, int(extent[1])))
        turn = float(rng.uniform(-15, 15))
        place = (int(centre[0]), int(centre[1]))
        cv2.ellipse(cover, place, axes, turn, 0, 360, 1.0, -1, cv2.LINE_AA)
        return
    count = int(rng.integers(3, 9))
    if kind < 0.45:
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.6, 1.0, (count, 1))
        cv2.fillPoly(cover, [np.round(centre + corners * extent).astype(np.int32)], 1.0, cv2.LINE_AA)
        return
    thickness = max(1, int(rng.uniform(0.04, 0.2) * tall) + int(rng.integers(2)))
    for _ in range(int(rng.integers(1, 5))):
        steps = rng.uniform(-1, 1, (count, 2))
        line = centre + np.clip(np.cumsum(steps, 0) * 0.5, -1, 1) * extent
        cv2.polylines(cover, [np.round(line).astype(np.int32)], False, 1.0, thickness, cv2.LINE_AA)


def _paint(rng: np.random.Generator) -> NDArray[np.float32]:
    """White mostly, else yellow, red, blue or any pale colour."""
    colours = ((235, 235, 230), (230, 225, 215), (225, 185, 60), (180, 60, 50), (60, 90, 170))
    if rng.random() < 0.2:
        return rng.uniform(90, 250, 3).astype(np.float32)
    return np.array(colours[int(rng.choice(5, p=[0.45, 0.25, 0.15, 0.08, 0.07]))], np.float32)


def _ground_tone(
    image: NDArray[np.uint8], where: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """The ground's own mean colour, darker or lighter: mended asphalt, iron, water."""
    mean = image[where].mean(0)
    tone: NDArray[np.float32] = np.clip(mean * float(rng.uniform(0.3, 1.4)), 0, 255).astype(np.float32)
    return tone
