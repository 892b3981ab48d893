"""Unknown things for drawn scenes: animals, cargo, furniture and shapes that have no name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oodseg.synth.drawn_animals import bird, cow, deer, dog, elephant, sheep, zebra
from oodseg.synth.drawn_palette import BRIGHT, FUR, WOOD, pick
from oodseg.synth.drawn_texture import Bytes, Light, Pen, scaled, tint

Draw = Callable[[np.random.Generator, int, Light], Pen]


def _crate(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 1.8)
    wooden = rng.random() < 0.5
    base = pick(rng, WOOD) if wooden or rng.random() < 0.5 else pick(rng, BRIGHT)
    width, depth, lift = rng.uniform(0.6, 1.2), rng.uniform(0.15, 0.5), rng.uniform(0.08, 0.25)
    right = 0.05 + width
    side = [(right, lift), (right + depth, 0.0), (right + depth, 0.99 - lift * 1.2), (right, 0.99)]
    pen.poly(side, scaled(base, 0.62 if light[0] < 0 else 0.9))
    pen.poly([(0.05, lift), (0.05 + depth, 0.0), (right + depth, 0.0), (right, lift)], scaled(base, 1.18))
    pen.rect(0.05, lift, right, 0.99, base)
    planks = int(rng.integers(3, 7)) if wooden else int(rng.integers(0, 3))
    for k in range(1, planks + 1):
        y = lift + (0.99 - lift) * k / (planks + 1)
        pen.limb([(0.05, y), (right, y)], [0.016, 0.016], scaled(base, 0.5))
    if not wooden and rng.random() < 0.7:
        x, y = 0.05 + width * rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.6)
        pen.rect(x, y, x + width * 0.35, y + 0.2, pick(rng, BRIGHT))
    pen.multiply(1.0 + 0.07 * pen.noise(rng, "cloud", 0.5))
    pen.speckle(rng, 0.04)
    return pen


def _tyre(rng: np.random.Generator, size: int, light: Light) -> Pen:
    rubber = tint(rng, (38, 38, 42), 6)
    if rng.random() < 0.5:  # lying, perhaps a stack
        count = int(rng.integers(1, 4))
        pen = Pen(size, 2.4 / count if count < 3 else 1.0)
        wide, slab = pen.rgb.shape[1] / size / 2 - 0.01, 0.98 / (count + 0.6)
        for k in range(count):
            y = 0.98 - slab * k
            pen.rect(0.01, y - slab, 2 * wide, y - slab * 0.3, rubber)
            pen.ellipse((wide, y - slab * 0.3), (wide, slab * 0.3), rubber)
            pen.ellipse((wide, y - slab), (wide, slab * 0.34), scaled(rubber, 1.6))
            pen.ellipse((wide, y - slab), (wide * 0.55, slab * 0.17), scaled(rubber, 0.4))
        pen.speckle(rng, 0.08)
    else:
        pen = Pen(size, 1.0)
        pen.ellipse((0.5, 0.5), (rng.uniform(0.3, 0.49), 0.49), rubber)
        pen.ellipse((0.48, 0.5), (0.3, 0.36), scaled(rubber, 1.5))
        pen.ellipse((0.48, 0.5), (0.2, 0.25), (120, 118, 114) if rng.random() < 0.5 else scaled(rubber, 0.5))
        pen.rounded(0.12, light)
        pen.speckle(rng, 0.06)
    return pen


def _ball(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 1.0)
    colour = pick(rng, BRIGHT)
    pen.ellipse((0.5, 0.5), (0.49, 0.49), colour)
    style = rng.random()
    if style < 0.35:
        pen.stripes(pick(rng, BRIGHT), rng.uniform(0.3, 0.6), rng.uniform(0, 180))
    elif style < 0.6:
        pen.spots(rng, pick(rng, BRIGHT), 0.3, size / 300)
    pen.rounded(0.5, light, 0.75)
    return pen


def _barrel(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 0.8)
    colour = pick(rng, BRIGHT + WOOD)
    bulge = rng.uniform(0.0, 0.06)
    rim = [(0.08, 0.1), (0.72, 0.1), (0.72 + bulge, 0.5), (0.72, 0.9), (0.08, 0.9), (0.08 - bulge, 0.5)]
    pen.poly(rim, colour)
    pen.ellipse((0.4, 0.9), (0.32, 0.085), colour)
    for y in (0.35, 0.62):
        pen.rect(0.05, y, 0.75, y + 0.05, scaled(colour, rng.uniform(0.5, 1.4)))
    x = np.linspace(-1, 1, pen.alpha.shape[1], dtype=np.float32)
    round_shade = 1.1 - 0.55 * (x + 0.3 * np.sign(light[0])) ** 2
    pen.multiply(np.broadcast_to(round_shade, pen.alpha.shape).astype(np.float32))
    pen.ellipse((0.4, 0.1), (0.32, 0.085), scaled(colour, 0.8))
    pen.multiply(1.0 + 0.08 * pen.noise(rng, "cloud", 0.5))
    return pen


def _couch(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 2.3)
    cloth = pick(rng, BRIGHT + FUR)
    wide = rng.uniform(1.3, 2.2)
    for x in (0.12, wide - 0.16):
        pen.rect(x, 0.9, x + 0.05, 0.99, (60, 42, 30))
    end = wide - 0.08
    pen.poly([(0.08, 0.08), (0.16, 0.0), (wide - 0.16, 0.0), (end, 0.08), (end, 0.9), (0.08, 0.9)], cloth)
    seats = int(rng.integers(1, 4))
    step = (wide - 0.4) / seats
    for k in range(seats):
        x = 0.2 + k * step
        pen.rect(x + 0.01, 0.5, x + step - 0.01, 0.7, scaled(cloth, 1.2))
        pen.limb([(x, 0.1), (x, 0.5)], [0.012, 0.012], scaled(cloth, 0.6))
    pen.rect(0.2, 0.7, wide - 0.2, 0.92, scaled(cloth, 0.8))
    for x in (0.1, wide - 0.1):
        pen.limb([(x, 0.42), (x, 0.84)], [0.2, 0.2], scaled(cloth, 0.95))
    pen.rounded(0.08, light, 0.4)
    pen.speckle(rng, 0.05)
    return pen


def _trunk(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, rng.uniform(2.5, 5.0))
    long, bark = pen.rgb.shape[1] / size, tint(rng, (96, 76, 58), 12)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(0.5, long - 0.4)
        pen.limb([(x, 0.5), (x + rng.uniform(-0.4, 0.4), 0.02)], [0.16, 0.05], bark)
    sag = rng.uniform(-0.08, 0.08)
    pen.limb([(0.32, 0.66), (long / 2, 0.66 + sag), (long - 0.25, 0.68)], [0.6, 0.52, 0.4], bark)
    pen.multiply(1.0 + 0.25 * pen.noise(rng, "grain", 1.5))
    pen.rounded(0.3, light, 0.6)
    pen.ellipse((0.3, 0.66), (0.14, 0.3), (196, 162, 116))
    pen.ellipse((0.3, 0.66), (0.08, 0.18), (170, 132, 90))
    return pen


def _boat(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 2.6)
    hull, stripe = pick(rng, BRIGHT), pick(rng, BRIGHT)
    if rng.random() < 0.6:
        pen.poly([(0.9, 0.5), (1.0, 0.05), (1.7, 0.05), (1.9, 0.5)], (226, 226, 222))
        pen.poly([(1.05, 0.32), (1.1, 0.13), (1.62, 0.13), (1.7, 0.32)], (50, 66, 80))
    pen.poly([(0.02, 0.4), (2.5, 0.5), (2.4, 0.92), (2.2, 0.99), (0.6, 0.99), (0.25, 0.75)], hull)
    pen.poly([(0.05, 0.45), (2.5, 0.53), (2.48, 0.62), (0.14, 0.57)], stripe)
    pen.poly([(0.25, 0.75), (2.4, 0.86), (2.2, 0.99), (0.6, 0.99)], scaled(hull, 0.55))
    for share in (0.25, 0.5, 0.75):
        plank = [(0.1 + 0.2 * share, 0.57 + 0.22 * share), (2.48 - 0.1 * share, 0.62 + 0.26 * share)]
        pen.limb(plank, [0.014, 0.014], scaled(hull, 0.6))
    pen.limb([(0.04, 0.41), (2.5, 0.5)], [0.04, 0.04], (206, 200, 186))
    pen.rounded(0.2, light, 0.4)
    return pen


def _tent(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 2.0)
    cloth = pick(rng, BRIGHT)
    ridge = rng.uniform(0.2, 0.7)
    pen.poly([(0.7, 0.03), (0.7 + ridge, 0.01), (1.3 + ridge, 0.95), (1.3, 0.99)], scaled(cloth, 0.68))
    pen.poly([(0.7, 0.03), (1.3, 0.99), (0.05, 0.99)], cloth)
    pen.poly([(0.7, 0.2), (0.86, 0.99), (0.54, 0.99)], scaled(cloth, 0.3))
    pen.multiply(1.0 + 0.1 * pen.noise(rng, "cloud", 0.6))
    return pen


def _barrow(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 1.7)
    colour = pick(rng, BRIGHT)
    pen.limb([(0.3, 0.7), (1.6, 0.35)], [0.05, 0.05], (84, 62, 44))
    pen.limb([(1.1, 0.5), (1.15, 0.98)], [0.05, 0.05], (70, 70, 72))
    pen.poly([(0.25, 0.15), (1.3, 0.1), (1.05, 0.6), (0.55, 0.65)], colour)
    pen.poly([(0.25, 0.15), (1.3, 0.1), (1.2, 0.2), (0.36, 0.24)], scaled(colour, 0.5))
    if rng.random() < 0.5:
        pen.ellipse((0.78, 0.15), (0.42, 0.13), pick(rng, WOOD))
    pen.ellipse((0.32, 0.8), (0.19, 0.19), (36, 36, 38))
    pen.ellipse((0.32, 0.8), (0.09, 0.09), (140, 140, 140))
    pen.rounded(0.06, light, 0.35)
    return pen


def _bag(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 1.3)
    cloth = pick(rng, BRIGHT + FUR + ((24, 24, 28), (30, 30, 36), (236, 236, 238)))
    arc = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    radius = 1 + rng.normal(0, 0.07, len(arc))
    rim = np.stack([0.65 + 0.5 * radius * np.cos(arc), 0.6 + 0.36 * radius * np.sin(arc)], 1)
    pen.poly(np.clip(rim, [0.01, 0.05], [1.29, 0.97]), cloth)
    pen.poly([(0.5, 0.34), (0.8, 0.34), (0.72, 0.16), (0.86, 0.02), (0.46, 0.02), (0.6, 0.16)], cloth)
    folds = pen.noise(rng, "cloud", size / 250)
    pen.multiply(1.0 + 0.28 * folds)
    pen.rounded(0.3, light, 0.6)
    return pen


def _blob(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """A smooth random contour with a random texture: no particular thing."""
    aspect = float(np.exp(rng.normal(0.2, 0.4)))
    pen = Pen(size, aspect)
    arc = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.ones_like(arc)
    for order in range(2, 7):
        radius += rng.normal(0, 0.32 / order) * np.cos(order * arc + rng.uniform(0, 6.3))
    rim = np.stack([np.cos(arc), np.sin(arc)], 1) * np.clip(radius, 0.3, 2)[:, None]
    low, high = rim.min(0), rim.max(0)
    pen.poly((rim - low) / (high - low) * [aspect - 0.03, 0.97] + 0.01, pick(rng, BRIGHT + FUR + WOOD))
    style = rng.random()
    if style < 0.3:
        pen.spots(rng, pick(rng, BRIGHT + FUR), rng.uniform(0.1, 0.7), size / rng.uniform(150, 600))
    elif style < 0.5:
        wobble = pen.noise(rng, "cloud", 1.0)
        pen.stripes(pick(rng, BRIGHT + FUR), rng.uniform(0.06, 0.4), rng.uniform(0, 180), wobble)
    pen.multiply(1.0 + rng.uniform(0.0, 0.3) * pen.noise(rng, "cloud", rng.uniform(0.2, 1.5)))
    pen.speckle(rng, rng.uniform(0, 0.12), rng.uniform(0.5, 2))
    pen.rounded(rng.uniform(0.1, 0.5), light, rng.uniform(0.3, 0.8))
    return pen


def _chair(rng: np.random.Generator, size: int, light: Light) -> Pen:
    pen = Pen(size, 0.8)
    colour = pick(rng, WOOD + BRIGHT)
    dark = scaled(colour, 0.65)
    for x, y, tone in ((0.28, 0.9, dark), (0.68, 0.9, dark), (0.12, 0.985, colour), (0.56, 0.985, colour)):
        pen.limb([(x, 0.55), (x, y)], [0.06, 0.05], tone)
    pen.poly([(0.24, 0.02), (0.74, 0.02), (0.72, 0.5), (0.26, 0.5)], dark)
    if rng.random() < 0.6:
        for x in (0.34, 0.46, 0.58):
            pen.limb([(x, 0.08), (x, 0.46)], [0.03, 0.03], scaled(colour, 0.35))
    pen.poly([(0.24, 0.5), (0.76, 0.5), (0.64, 0.62), (0.06, 0.62)], colour)
    pen.speckle(rng, 0.04)
    return pen


KINDS: dict[str, tuple[Draw, float, float]] = {
    "cow": (cow, 1.2, 1.7), "dog": (dog, 0.4, 0.9), "deer": (deer, 1.2, 2.0), "zebra": (zebra, 1.2, 1.7),
    "elephant": (elephant, 2.0, 3.2), "sheep": (sheep, 0.7, 1.1), "bird": (bird, 0.3, 1.3),
    "crate": (_crate, 0.3, 1.4), "tyre": (_tyre, 0.4, 1.0), "ball": (_ball, 0.2, 0.9),
    "barrel": (_barrel, 0.6, 1.1), "couch": (_couch, 0.7, 1.0), "trunk": (_trunk, 0.3, 0.8),
    "boat": (_boat, 1.0, 2.2), "tent": (_tent, 1.0, 2.0), "barrow": (_barrow, 0.6, 1.0),
    "bag": (_bag, 0.3, 1.0), "blob": (_blob, 0.25, 2.0), "chair": (_chair, 0.7, 1.1),
}  # fmt: skip
"""Name to (drawing function, smallest, largest height in metres)."""


def draw_unknown(rng: np.random.Generator, name: str, size: int, light: Light) -> tuple[Bytes, Bytes]:
    """Draws one unknown object.

    Args:
        rng: Source of every choice.
        name: A key of `KINDS`.
        size: Height of the canvas in pixels.
        light: Direction the light comes from, `(x, y)`, y down.

    Returns:
        RGB uint8 `[h, w, 3]` and alpha uint8 `[h, w]`, cut to the object; it stands on the last row.
    """
    pen = KINDS[name][0](rng, size, light)
    # Light from the sky above, dark towards the ground, and wear: what no real surface lacks.
    height = np.linspace(0, 1, size, dtype=np.float32)[:, None] ** 1.5
    uneven = pen.noise(rng, "cloud", size / rng.uniform(150, 500))
    pen.multiply(1.14 - rng.uniform(0.25, 0.5) * height + rng.uniform(0.05, 0.15) * uneven)
    pen.speckle(rng, rng.uniform(0.02, 0.09), size / rng.uniform(150, 300))
    return pen.sprite()
