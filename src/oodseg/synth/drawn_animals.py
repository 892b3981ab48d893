"""Animals for drawn scenes, seen from the side."""

from __future__ import annotations

import numpy as np

from oodseg.synth.drawn_palette import BRIGHT, FUR, pick
from oodseg.synth.drawn_texture import Colour, Light, Pen, scaled, tint


def _quadruped(
    rng: np.random.Generator,
    size: int,
    light: Light,
    *,
    legs: float,
    neck: float,
    head: float,
    bulk: float,
    kind: str,
) -> Pen:
    """An animal from the side; lengths in its own height, `kind` adds horns, trunk, antlers or stripes."""
    pen = Pen(size, 1.9)
    fur = tint(rng, (128, 122, 118), 10) if kind == "trunk" else pick(rng, FUR)
    dark = scaled(fur, 0.6)
    back, belly = 1 - legs - bulk, 1 - legs
    middle = (back + belly) / 2
    left, right = 0.55, 1.25
    thick = bulk * rng.uniform(0.2, 0.3) if kind != "trunk" else bulk * 0.36
    stride = rng.uniform(-0.07, 0.07)
    for x, tone, swing in (
        (left + 0.08, dark, -stride), (right - 0.02, dark, stride),
        (left, fur, stride), (right - 0.1, fur, -stride),
    ):  # fmt: skip
        leg = [(x, belly - bulk * 0.3), (x + swing * 0.6, belly + legs * 0.5), (x + swing, 0.985)]
        pen.limb(leg, [thick * 1.5, thick, thick * 0.75], tone)
    long = (right - left) / 2 + 0.08
    pen.ellipse(((left + right) / 2, middle), (long, bulk * 0.5), fur, rng.uniform(-4, 4))
    pen.ellipse((left + 0.04, middle - 0.01), (bulk * 0.42, bulk * 0.52), fur)
    pen.ellipse((right - 0.05, middle), (bulk * 0.44, bulk * 0.5), fur)
    tail = rng.uniform(-0.1, 0.16)
    pen.limb([(right + 0.08, middle - bulk * 0.3), (right + 0.17, middle + tail)], [0.045, 0.025], dark)
    top = max(0.1, back - neck)
    skull = (left - 0.08 - neck * 0.5, top)
    pen.limb([(left + 0.02, middle - bulk * 0.12), skull], [bulk * 0.75, head * 0.9], fur)
    pen.ellipse(skull, (head * 0.62, head * 0.48), fur, -20)
    snout = (skull[0] - head * 0.75, skull[1] + head * 0.38)
    pen.limb([skull, snout], [head * 0.8, head * 0.5], fur)
    if kind == "trunk":
        trunk = [snout, (snout[0] - 0.05, snout[1] + 0.25), (snout[0] + 0.02, min(0.92, snout[1] + 0.5))]
        pen.limb(trunk, [head * 0.5, head * 0.34, head * 0.2], fur)
        ear = (skull[0] + head * 0.5, skull[1] + 0.04)
        pen.ellipse(ear, (head * 0.55, head * 0.75), scaled(fur, 0.85), 10)
    else:
        pen.ellipse((skull[0] + head * 0.3, skull[1] - head * 0.45), (head * 0.16, head * 0.3), dark, 25)
        pen.ellipse(snout, (head * 0.2, head * 0.2), scaled(fur, 0.7))
    if kind in {"horns", "antlers"}:
        reach = 0.14 if kind == "horns" else 0.26
        bone: Colour = (200, 188, 160)
        tip = (skull[0] + rng.uniform(-0.12, 0.12), max(0.01, skull[1] - reach))
        pen.limb([(skull[0], skull[1] - head * 0.35), tip], [0.035, 0.02], bone)
        if kind == "antlers":
            for share in (0.4, 0.7):
                y = skull[1] - head * 0.35 - share * reach * 0.7
                pen.limb([(skull[0], y), (skull[0] - 0.1, max(0.01, y - 0.07))], [0.025, 0.015], bone)
    coat = rng.random()
    if kind == "stripes":
        pen.rgb[pen.alpha > 0] = (226, 222, 214)
        pen.stripes((34, 32, 32), rng.uniform(0.08, 0.14), 10, pen.noise(rng, "cloud", 1.0))
    elif kind != "trunk" and coat < 0.45:
        pen.spots(rng, pick(rng, FUR), rng.uniform(0.1, 0.6), size / 400)
    pen.rounded(bulk * 0.45, light, 0.5)
    pen.speckle(rng, 0.06)
    if rng.random() < 0.5:
        pen.rgb, pen.alpha = pen.rgb[:, ::-1].copy(), pen.alpha[:, ::-1].copy()
    return pen


def cow(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws a cow or ox, with or without horns."""
    kind = "horns" if rng.random() < 0.6 else "plain"
    return _quadruped(rng, size, light, legs=0.38, neck=0.1, head=0.2, bulk=0.42, kind=kind)


def dog(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws a dog."""
    return _quadruped(rng, size, light, legs=0.4, neck=0.2, head=0.22, bulk=0.28, kind="plain")


def deer(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws a deer with antlers."""
    return _quadruped(rng, size, light, legs=0.42, neck=0.22, head=0.15, bulk=0.24, kind="antlers")


def zebra(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws a zebra."""
    return _quadruped(rng, size, light, legs=0.42, neck=0.2, head=0.18, bulk=0.3, kind="stripes")


def elephant(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws an elephant."""
    return _quadruped(rng, size, light, legs=0.34, neck=0.02, head=0.3, bulk=0.56, kind="trunk")


def sheep(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws a sheep."""
    return _quadruped(rng, size, light, legs=0.26, neck=0.06, head=0.2, bulk=0.56, kind="plain")


def bird(rng: np.random.Generator, size: int, light: Light) -> Pen:
    """Draws a large bird that stands."""
    pen = Pen(size, 1.3)
    coat = pick(rng, FUR + BRIGHT)
    pen.limb([(0.6, 0.7), (0.58, 0.98)], [0.05, 0.04], (190, 140, 60))
    pen.limb([(0.7, 0.7), (0.72, 0.98)], [0.05, 0.04], (170, 124, 54))
    pen.ellipse((0.65, 0.52), (0.36, 0.22), coat, -18)
    pen.poly([(0.9, 0.4), (1.24, 0.22), (1.2, 0.5), (0.92, 0.6)], scaled(coat, 0.7))
    pen.limb([(0.42, 0.45), (0.32, 0.2)], [0.18, 0.13], coat)
    pen.ellipse((0.31, 0.16), (0.1, 0.1), scaled(coat, 0.9))
    pen.poly([(0.23, 0.13), (0.1, 0.19), (0.23, 0.21)], (226, 170, 60))
    pen.ellipse((0.7, 0.5), (0.24, 0.11), scaled(coat, 0.75), -14)
    pen.rounded(0.14, light)
    pen.speckle(rng, 0.08)
    return pen
