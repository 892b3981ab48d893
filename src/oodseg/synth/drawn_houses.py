"""The houses along a drawn street."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from oodseg.core.taxonomy import FAR
from oodseg.synth.drawn_palette import AWNINGS, WALLS, pick
from oodseg.synth.drawn_street import NEAR, Place, facing, flanking
from oodseg.synth.drawn_texture import Colour, scaled, tint


def paint_buildings(place: Place, rng: np.random.Generator, side: int, setback: float) -> None:
    """Draws a row of houses along one side, far to near."""
    edge = (place.right if side > 0 else -place.left) + place.pavement + setback
    starts = [float(rng.uniform(1.0, 12.0))]
    while starts[-1] < 120:
        starts.append(starts[-1] + float(rng.uniform(7, 24)))
    for near, far in reversed(list(pairwise(starts))):
        if rng.random() < 0.12:
            continue
        paint_house(place, rng, side, edge, near, far)


def paint_house(
    place: Place, rng: np.random.Generator, side: int, edge: float, near: float, far: float
) -> None:
    """Draws one house along the road from depth near to far, its wall at `edge` or some metres behind."""
    x = side * (edge + rng.uniform(0, 2.0) * (rng.random() < 0.4))
    storeys = float(rng.choice([1, 2, 3, 4, 5, 7], p=[0.1, 0.2, 0.25, 0.2, 0.15, 0.1]))
    tall = storeys * 3.2 + rng.uniform(0.5, 1.5)
    wall = pick(rng, WALLS, 12)
    lit = 1.1 if (side > 0) == (place.light[0] < 0) else 0.72
    end = far - rng.uniform(0, 0.6)
    place.face(facing(x, x + side * 12, 0, tall, near), scaled(wall, 0.85), FAR)
    place.face(flanking(x, 0, tall, near, end), scaled(wall, lit), FAR)
    place.face(flanking(x, tall - 0.5, tall, near, end), scaled(wall, lit * 0.75))
    floors, bays = int(tall // 3.2), max(1, int((end - near) // rng.uniform(2.2, 3.6)))
    bay = (end - near) / bays
    glass = tint(rng, (66, 76, 88), 14)
    for floor in range(floors):
        low, high = (0.3, 2.7) if floor == 0 else (floor * 3.2 + 0.9, floor * 3.2 + 2.5)
        z = near + bay * (np.arange(bays) + 0.5)
        half = bay * (0.42 if floor == 0 else 0.27)
        quads = np.stack(
            [np.stack([np.full(bays, x), np.full(bays, y), z + s * half], 1)
             for y, s in ((low, -1), (low, 1), (high, 1), (high, -1))], 1,
        )  # fmt: skip
        _paint_windows(place, rng, quads[z > NEAR + half], scaled(wall, lit), glass)
    if floors and rng.random() < 0.4:
        awning = pick(rng, AWNINGS, 12)
        x2 = x - side * 1.0
        place.face([(x, 3.1, near), (x, 3.1, end), (x2, 2.6, end), (x2, 2.6, near)], awning, FAR)


def _paint_windows(
    place: Place, rng: np.random.Generator, quads: npt.NDArray[np.float64], wall: Colour, glass: Colour
) -> None:
    """Windows `[N, 4, 3]` with a frame, a bar and, each by itself, dark glass, sky, a blind or a curtain."""
    if not len(quads):
        return
    if quads[0, 0, 2] > 50:
        place.faces(quads, scaled(glass, rng.uniform(0.7, 1.3)))
        return
    place.faces(quads + np.array([0, 0.07, 0]), scaled(wall, 1.25))
    place.faces(quads + np.array([0, -0.07, 0]), scaled(wall, 0.7))
    tones = (scaled(glass, 0.55), glass, scaled(glass, 1.5), (176.0, 170.0, 156.0))
    kind = rng.choice(len(tones), len(quads), p=[0.35, 0.35, 0.2, 0.1])
    for k, tone in enumerate(tones):
        place.faces(quads[kind == k], tone)
    mirrored = quads.copy()
    mirrored[:, :2, 1] += rng.uniform(0.35, 0.7, (len(quads), 1)) * (quads[:, 2:3, 1] - quads[:, :1, 1])
    place.faces(mirrored[kind < 2], scaled(glass, 1.35))
    middle = quads.mean(1, keepdims=True)
    place.faces(middle + (quads - middle) * np.array([1, 1, 0.06]), scaled(wall, 1.1))
