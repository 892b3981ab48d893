"""Draws the known things of a street scene: vehicles, people, trees, poles and signs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oodseg.core.taxonomy import IGNORE, ROADSIDE, VEHICLE
from oodseg.synth.drawn_palette import CLOTH, HELMETS, PAINT, SKIN, pick
from oodseg.synth.drawn_street import Place, Quad, facing, flanking
from oodseg.synth.drawn_texture import Bytes, Colour, Light, Pen, noise, scaled, tint

Flags = npt.NDArray[np.bool_]

# Outline of a vehicle from the side: (share of its length from the rear, share of its height).
SEDAN = (
    (0.0, 0.22), (0.0, 0.62), (0.1, 0.68), (0.2, 1.0), (0.55, 1.0), (0.7, 0.68), (0.97, 0.56), (1.0, 0.22),
)  # fmt: skip
HATCH = ((0.0, 0.2), (0.0, 0.6), (0.06, 0.97), (0.55, 1.0), (0.72, 0.64), (0.97, 0.54), (1.0, 0.2))
BOX = ((0.0, 0.14), (0.0, 1.0), (0.97, 1.0), (1.0, 0.5), (1.0, 0.14))
SHAPES = {
    "sedan": (SEDAN, 4.5, 1.8, 1.45),
    "hatch": (HATCH, 4.0, 1.75, 1.55),
    "van": (BOX, 5.2, 2.0, 2.3),
    "bus": (BOX, 11.0, 2.5, 3.1),
    "lorry": (BOX, 8.0, 2.4, 3.3),
}
"""Name to (outline, length, width, height in metres)."""


def paint_vehicle(place: Place, rng: np.random.Generator, x: float, z: float, name: str) -> None:
    """Draws a vehicle with its near end at depth z, its middle at x, along the road."""
    paint = pick(rng, PAINT, 10)
    away = rng.random() < 0.6
    glass = tint(rng, (48, 58, 68), 8)
    behind = place.labels.copy()
    place.labels[:] = IGNORE
    _paint_flank(place, x, z, name, away, paint, glass)
    _paint_end(place, x, z, name, away, paint, glass)
    painted = place.labels == VEHICLE
    np.copyto(place.labels, behind, where=~painted)
    _polish(place, rng, painted, z)


def _polish(place: Place, rng: np.random.Generator, painted: Flags, z: float) -> None:
    """Lights a vehicle: the sky in what looks up, dirt below, unevenness everywhere."""
    rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
    if not len(rows):
        return
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside, part = painted[box], place.image[box]
    h, w = inside.shape
    t = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    gain = 1.16 - 0.42 * t**1.4 + 0.12 * np.exp(-(((t - 0.42) / 0.06) ** 2))
    gain = gain + 0.09 * noise(rng, h, w, "cloud", h / 200) + 0.03 * noise(rng, h, w, "grain")
    gain = 1 + (gain - 1) * np.float32(np.exp(-place.fog * z))
    lit = np.clip(part * gain[..., None], 0, 255).astype(np.uint8)
    np.copyto(part, lit, where=inside[..., None])


def _paint_flank(
    place: Place, x: float, z: float, name: str, away: bool, paint: Colour, glass: Colour
) -> None:
    """The side of a vehicle that the camera sees, with windows and wheels."""
    shape, long, wide, tall = SHAPES[name]
    outline = np.asarray(shape)
    if not away:
        outline = outline[::-1] * [-1, 1] + [1, 0]
    side = -1.0 if x + float(place.centre(z)) > 0 else 1.0
    flank = x + side * wide / 2
    lit = 1.1 if side * place.light[0] > 0 else 0.78
    profile = np.stack([np.full(len(outline), flank), outline[:, 1] * tall, z + outline[:, 0] * long], 1)
    place.face(profile, scaled(paint, lit), VEHICLE)
    if name in {"sedan", "hatch"}:
        low, high = (0.22, 0.6) if away else (0.4, 0.78)
        sill, eaves = 0.66 * tall, 0.94 * tall
        pane = [
            (flank, sill, z + (low - 0.06) * long),
            (flank, eaves, z + (low + 0.02) * long),
            (flank, eaves, z + (high - 0.08) * long),
            (flank, sill, z + (high + 0.05) * long),
        ]
        place.face(pane, glass)
    elif name != "lorry":
        sill, eaves = 0.55 * tall, 0.86 * tall
        rear, front = z + 0.3, z + long * 0.9
        pane = [(flank, sill, rear), (flank, eaves, rear), (flank, eaves, front), (flank, sill, front)]
        place.face(pane, glass)
    radius = 0.21 * min(tall, 1.6)
    arc = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for share in (0.18, 0.8):
        for scale, tone in ((1.0, (28.0, 28.0, 30.0)), (0.55, (118.0, 118.0, 122.0))):
            height, depth = scale * radius * np.sin(arc), scale * radius * np.cos(arc)
            rim = np.stack([np.full(14, flank), radius + height, z + share * long + depth], 1)
            place.face(rim, tone, VEHICLE)


def _paint_end(place: Place, x: float, z: float, name: str, away: bool, paint: Colour, glass: Colour) -> None:
    """The near end of a vehicle: its rear where it drives away, else its front."""
    shape, _, wide, tall = SHAPES[name]
    left, right = x - wide / 2, x + wide / 2
    floor = min(y for _, y in shape)
    body = scaled(paint, 0.9)
    low_built = name in {"sedan", "hatch"}

    def end(y1: float, y2: float, a: float, b: float, colour: Colour, label: int | None = None) -> None:
        """A rectangle on the near end: heights and sides as shares."""
        place.face(facing(left + a * wide, left + b * wide, y1 * tall, y2 * tall, z), colour, label)

    def slope(y1: float, y2: float, edge: float, inset: float, lean: float) -> Quad:
        """The slope above: `edge` metres in at its foot, `inset` of the width in and `lean` on at its top."""
        return [
            (left + edge, y1 * tall, z),
            (right - edge, y1 * tall, z),
            (right - inset * wide, y2 * tall, z + lean),
            (left + inset * wide, y2 * tall, z + lean),
        ]

    for a in (0.04, 0.8):
        end(0.0, 0.3, a, a + 0.16, (26, 26, 28), VEHICLE)
    if low_built:
        end(floor, 0.66, 0.0, 1.0, body, VEHICLE)
        place.face(slope(0.66, 1.0, 0.0, 0.14, 0.5), body, VEHICLE)
        place.face(slope(0.68, 0.95, 0.1, 0.18, 0.4), scaled(glass, 1.2))
    else:
        end(floor, 1.0, 0.0, 1.0, body, VEHICLE)
        if name != "lorry" or not away:
            end(0.5, 0.88, 0.08, 0.92, glass)
        else:
            end(0.2, 0.97, 0.48, 0.52, scaled(paint, 0.6))
    lamp: Colour = (176, 24, 24) if away else (240, 238, 226)
    high = 0.5 if low_built else 0.3
    end(high, high + 0.09, 0.04, 0.2, lamp)
    end(high, high + 0.09, 0.8, 0.96, lamp)
    end(floor, floor + 0.12, 0.0, 1.0, scaled(paint, 0.45))
    end(floor + 0.14, floor + 0.22, 0.38, 0.62, (224, 224, 214))


def draw_person(rng: np.random.Generator, size: int, light: Light) -> tuple[Bytes, Bytes]:
    """Draws a walking or standing person, RGB and alpha."""
    pen = Pen(size, 0.7)
    skin = pick(rng, SKIN, 8)
    top, legs = (tint(rng, CLOTH[int(k)], 12) for k in rng.integers(0, len(CLOTH), 2))
    step = rng.uniform(0.0, 0.12)
    thick = (0.11, 0.085, 0.06)
    pen.limb([(0.36, 0.5), (0.36 + step * 0.6, 0.74), (0.35 + step, 0.97)], thick, scaled(legs, 0.75))
    pen.limb([(0.32, 0.5), (0.32 - step * 0.4, 0.74), (0.32 - step, 0.97)], thick, legs)
    pen.limb([(0.34 - step, 0.975), (0.30 - step, 0.98)], [0.04, 0.035], (36, 32, 30))
    swing = rng.uniform(-0.08, 0.1)
    pen.limb([(0.42, 0.2), (0.46, 0.36), (0.44 + swing, 0.5)], [0.075, 0.06, 0.045], scaled(top, 0.8))
    pen.limb([(0.34, 0.2), (0.345, 0.5)], [0.2, 0.16], top)
    if rng.random() < 0.3:
        pen.poly([(0.26, 0.4), (0.43, 0.4), (0.48, 0.7), (0.22, 0.7)], legs)
    pen.limb([(0.26, 0.2), (0.22, 0.36), (0.24 - swing, 0.5)], [0.075, 0.06, 0.045], scaled(top, 0.95))
    pen.ellipse((0.24 - swing, 0.51), (0.024, 0.028), skin)
    pen.limb([(0.34, 0.1), (0.34, 0.18)], [0.06, 0.07], skin)
    pen.ellipse((0.34, 0.075), (0.055, 0.07), skin)
    pen.ellipse((0.345, 0.05), (0.058, 0.05), tint(rng, (48, 38, 32), 14))
    if rng.random() < 0.35:
        pen.ellipse((0.46, 0.3), (0.06, 0.1), pick(rng, CLOTH, 12))
    pen.rounded(0.05, light, 0.5)
    pen.speckle(rng, 0.03)
    return pen.sprite()


def draw_rider(rng: np.random.Generator, size: int, light: Light) -> tuple[Bytes, Bytes, Bytes]:
    """Draws a person on a motorbike or bicycle from behind; RGB, alpha and the part of the machine."""
    pen = Pen(size, 0.6)
    pen.limb([(0.3, 0.6), (0.3, 0.97)], [0.07, 0.07], (26, 26, 28))
    pen.ellipse((0.3, 0.6), (0.1, 0.12), pick(rng, PAINT, 12))
    pen.limb([(0.12, 0.45), (0.48, 0.45)], [0.025, 0.025], (40, 40, 44))
    pen.ellipse((0.3, 0.66), (0.03, 0.02), (180, 30, 30))
    machine = pen.alpha.copy()
    pen.alpha[:] = 0
    top, legs = (tint(rng, CLOTH[int(k)], 12) for k in rng.integers(0, len(CLOTH), 2))
    for s in (-1, 1):
        leg = [(0.3 + s * 0.07, 0.5), (0.3 + s * 0.14, 0.64), (0.3 + s * 0.1, 0.85)]
        pen.limb(leg, [0.11, 0.09, 0.06], legs)
        arm = [(0.3 + s * 0.1, 0.2), (0.3 + s * 0.17, 0.34), (0.3 + s * 0.16, 0.45)]
        pen.limb(arm, [0.08, 0.06, 0.04], scaled(top, 0.9))
    pen.limb([(0.3, 0.2), (0.3, 0.5)], [0.24, 0.2], top)
    pen.ellipse((0.3, 0.085), (0.07, 0.08), pick(rng, HELMETS, 12))
    machine[pen.alpha > 0] = 0
    pen.alpha |= machine
    pen.rounded(0.05, light, 0.4)
    rows, columns = np.flatnonzero(pen.alpha.any(1)), np.flatnonzero(pen.alpha.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return pen.rgb[box], pen.alpha[box], machine[box]


def draw_tree(rng: np.random.Generator, size: int, light: Light, leaf: Colour) -> tuple[Bytes, Bytes]:
    """Draws a broad-leaved tree, conifer or bush of noisy foliage, RGB and alpha."""
    aspect = rng.uniform(0.6, 1.0)
    pen = Pen(size, aspect)
    bark = tint(rng, (78, 62, 50), 8)
    crown = rng.uniform(0.55, 0.75)
    for _ in range(3):
        pen.limb([(aspect / 2, 0.7), (aspect / 2 + rng.uniform(-0.2, 0.2), 0.35)], [0.035, 0.015], bark)
    pen.limb([(aspect / 2, 0.99), (aspect / 2, 0.5)], [0.06, 0.035], bark)
    y, x = np.mgrid[: pen.alpha.shape[0], : pen.alpha.shape[1]].astype(np.float32) / size
    body = np.full(x.shape, -1.0, np.float32)
    shine = np.zeros(x.shape, np.float32)
    for _ in range(int(rng.integers(5, 9))):
        cx, cy = rng.uniform(0.25, 0.75) * aspect, rng.uniform(0.18, crown - 0.1)
        r = rng.uniform(0.14, 0.24)
        ball = 1.0 - ((x - cx) ** 2 + (y - cy) ** 2) / (r * r)
        front = ball > body
        body = np.maximum(body, ball)
        shine = np.where(front, (light[0] * (x - cx) + light[1] * (y - cy)) / r, shine)
    clumps = pen.noise(rng, "grain", size / 130)
    leaves = body + 0.3 * clumps + 0.1 * pen.noise(rng, "white", size / 250) > 0.1
    tone = 1.0 + 0.32 * np.clip(shine, -1, 1) + 0.26 * clumps
    green = np.clip(np.asarray(leaf, np.float32) * tone[..., None], 0, 255).astype(np.uint8)
    pen.rgb[leaves] = green[leaves]
    pen.alpha[leaves] = 255
    return pen.sprite()


def draw_bush(rng: np.random.Generator, size: int, light: Light, leaf: Colour) -> tuple[Bytes, Bytes]:
    """Draws a low clump of leaves, RGB and alpha."""
    pen = Pen(size, rng.uniform(1.2, 2.4))
    wide = pen.alpha.shape[1] / size
    y, x = np.mgrid[: pen.alpha.shape[0], : pen.alpha.shape[1]].astype(np.float32) / size
    clumps = pen.noise(rng, "grain", size / 80)
    dome = 1.0 - ((x - wide / 2) / (wide / 2)) ** 2 - ((y - 1) / 0.95) ** 2
    leaves = dome + 0.18 * clumps > 0.1
    tone = 1.15 + 0.28 * clumps - 0.55 * y + 0.15 * light[0] * (x - wide / 2)
    pen.rgb[:] = np.clip(np.asarray(leaf, np.float32) * tone[..., None], 0, 255).astype(np.uint8)
    pen.alpha[leaves] = 255
    return pen.sprite()


def paint_pole(place: Place, rng: np.random.Generator, x: float, z: float) -> None:
    """Draws a lamp post, traffic sign or mast."""
    tall = rng.uniform(2.2, 3.2) if rng.random() < 0.5 else rng.uniform(5, 9)
    thick = 0.05 if tall < 4 else 0.09
    metal = tint(rng, (120, 122, 124) if rng.random() < 0.7 else (92, 72, 56), 10)
    thin = thick * 0.7
    mast = [(x - thick, 0, z), (x + thick, 0, z), (x + thin, tall, z), (x - thin, tall, z)]
    place.face(mast, metal, ROADSIDE)
    inward = -1.0 if x > 0 else 1.0
    if tall > 4:
        tip = x + inward * rng.uniform(1, 2.2)
        arm = [(x, tall - 0.05, z), (tip, tall + 0.15, z), (tip, tall + 0.3, z), (x, tall + 0.1, z)]
        place.face(arm, metal, ROADSIDE)
        return
    kind, radius = rng.random(), rng.uniform(0.28, 0.42)
    count = 3 if kind < 0.3 else 16 if kind < 0.65 else 4
    arc = np.linspace(0, 2 * np.pi, count, endpoint=False) + (np.pi / 2 if count != 4 else np.pi / 4)
    red, blue, white = (186.0, 30.0, 36.0), (30.0, 76.0, 160.0), (232.0, 232.0, 228.0)
    outer, inner = (red, white) if count == 3 or rng.random() < 0.5 else (blue, scaled(blue, 1.3))
    for scale, tone in ((1.0, outer), (0.72, inner)):
        across, up = scale * radius * np.cos(arc), scale * radius * np.sin(arc)
        rim = np.stack([x + across, tall + up, np.full(count, z)], 1)
        place.face(rim, tone, ROADSIDE)


def paint_fence(place: Place, rng: np.random.Generator, x: float, low: float, high: float) -> None:
    """Draws a guard rail or fence along the road from depth low to high."""
    metal = tint(rng, (150, 152, 154), 12)
    posts = np.arange(low, high, 3.0)
    place.faces(np.asarray([flanking(x, 0, 0.75, z, z + 0.1) for z in posts]), scaled(metal, 0.7))
    for z in np.arange(low, high, 6.0)[::-1]:
        far = min(z + 6.0, high)
        place.face(flanking(x, 0.45, 0.78, z, far), metal, ROADSIDE)
        place.line([(x, 0.6, z), (x, 0.6, far)], scaled(metal, 0.6), z)


def paint_wires(place: Place, rng: np.random.Generator, x: float) -> None:
    """Draws overhead wires along the road, thin enough to keep the label behind them."""
    z = np.linspace(4, 90, 40)
    for k in range(int(rng.integers(1, 4))):
        sag = 0.5 * np.cos(z / 12 * np.pi) ** 2
        wire = np.stack([np.full(40, x + k * 0.3), 7.5 - sag - 0.3 * k, z], 1)
        place.line(wire, (50, 50, 54), 20)
