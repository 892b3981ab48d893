"""Colours of what is drawn, and how one is chosen."""

from __future__ import annotations

import numpy as np

from oodseg.synth.drawn_texture import Colour, tint

FUR: tuple[Colour, ...] = (
    (120, 84, 52), (70, 48, 34), (232, 226, 214), (40, 38, 38), (168, 128, 84), (142, 136, 128),
    (196, 160, 112),
)  # fmt: skip
BRIGHT: tuple[Colour, ...] = (
    (196, 44, 38), (30, 88, 178), (238, 196, 38), (46, 138, 66), (240, 118, 30), (238, 238, 232),
    (34, 34, 38), (120, 60, 140), (60, 170, 180), (214, 120, 150),
)  # fmt: skip
WOOD: tuple[Colour, ...] = ((172, 132, 84), (134, 96, 60), (196, 164, 118), (104, 80, 58))
PAINT: tuple[Colour, ...] = (
    (228, 228, 226), (36, 38, 42), (128, 132, 136), (150, 30, 32), (36, 62, 120), (186, 188, 190),
    (70, 84, 70), (212, 178, 60), (92, 60, 48),
)  # fmt: skip
CLOTH: tuple[Colour, ...] = (
    (40, 44, 60), (120, 40, 44), (210, 208, 200), (60, 84, 60), (30, 30, 32), (70, 100, 150),
    (190, 150, 70), (150, 110, 130),
)  # fmt: skip
WALLS: tuple[Colour, ...] = (
    (176, 158, 134), (148, 96, 74), (196, 190, 178), (130, 128, 126), (206, 184, 140), (112, 86, 72),
    (168, 172, 176),
)  # fmt: skip
SKIN: tuple[Colour, ...] = ((222, 178, 148), (150, 104, 78), (92, 62, 48))
AWNINGS: tuple[Colour, ...] = ((170, 50, 44), (40, 90, 60), (40, 60, 120), (210, 200, 180))
HELMETS: tuple[Colour, ...] = ((40, 40, 44), (200, 40, 40), (230, 230, 230))


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 14.0) -> Colour:
    """Picks one of the colours, moved a little; see `tint`."""
    return tint(rng, colours[int(rng.integers(len(colours)))], spread)
