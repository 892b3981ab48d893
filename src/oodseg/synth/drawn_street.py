"""The empty street of a drawn scene: camera, sky, ground, rows of buildings and trees."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from oodseg.core.taxonomy import DRIVABLE, FAR, NON_DRIVABLE, SKY
from oodseg.synth.drawn_texture import (
    FIELD,
    SUBPIXEL,
    Bytes,
    Colour,
    Floats,
    Light,
    Points,
    fixed,
    noise,
    noise_field,
    scaled,
)

Quad = list[tuple[float, float, float]]

NEAR = 1.5  # metres: nothing is drawn closer to the camera


@dataclass
class Place:
    """Camera, weather and plan of one street; lengths in metres, x right of the lane, z ahead.

    On a drive the camera has `travelled` so far and looks `yaw` radians to the left of the road.
    """

    domain: str
    height: int
    width: int
    focal: float
    horizon: float
    eye: float
    bend: float
    left: float
    right: float
    pavement: float
    light: Light
    sun: float
    gain: tuple[float, float, float]
    fog: float
    haze: Colour
    ground: Colour
    travelled: float = 0.0
    yaw: float = 0.0
    image: Bytes = field(init=False)
    labels: Bytes = field(init=False)
    shade: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.image = np.zeros((self.height, self.width, 3), np.uint8)
        self.labels = np.zeros((self.height, self.width), np.uint8)
        self.shade = np.ones((max(2, self.height // 2), max(2, self.width // 2)), np.float32)

    def centre(self, z: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Sideways shift of the bending road at depth z."""
        depth = np.minimum(np.asarray(z, np.float64), 160.0)
        return self.bend * depth * depth + self.yaw * depth

    def project(self, points: Points) -> npt.NDArray[np.float64]:
        """Points `[N, 3]` (x, height above ground, z) to pixels `[N, 2]`."""
        p = np.asarray(points, np.float64).reshape(-1, 3)
        z = np.maximum(p[:, 2], NEAR)
        u = self.width / 2 + self.focal * (p[:, 0] + self.centre(z)) / z
        return np.column_stack((u, self.horizon + self.focal * (self.eye - p[:, 1]) / z))

    def seen(self, colour: Colour, z: float) -> tuple[float, float, float]:
        """Shades a colour by this light and the air between."""
        clear = float(np.exp(-self.fog * z))
        through = zip(colour, self.gain, self.haze, strict=True)
        r, g, b = (min(c * k * clear + h * (1 - clear), 255.0) for c, k, h in through)
        return (r, g, b)

    def face(self, points: Points, colour: Colour, label: int | None = None) -> None:
        """Fills a flat polygon given in metres; with a label also in the label map."""
        corners = np.asarray(points, np.float64).reshape(-1, 3)
        shape = fixed(self.project(corners))
        tone = self.seen(colour, float(corners[:, 2].mean()))
        cv2.fillPoly(self.image, [shape], tone, cv2.LINE_AA, SUBPIXEL)
        if label is not None:
            cv2.fillPoly(self.labels, [shape], label, cv2.LINE_8, SUBPIXEL)

    def faces(self, quads: npt.NDArray[np.float64], colour: Colour) -> None:
        """Fills many polygons `[N, K, 3]` of one colour that do not overlap."""
        if len(quads):
            shapes = fixed(self.project(quads)).reshape(len(quads), -1, 2)
            tone = self.seen(colour, float(quads[..., 2].mean()))
            cv2.fillPoly(self.image, list(shapes), tone, cv2.LINE_AA, SUBPIXEL)

    def line(self, points: Points, colour: Colour, z: float) -> None:
        """Draws a one-pixel line in the tone of depth z; the label map stays as it is."""
        tone = self.seen(colour, z)
        cv2.polylines(self.image, [fixed(self.project(points))], False, tone, 1, cv2.LINE_AA, SUBPIXEL)

    def cast(self, x: float, z: float, wide: float, long: float, dark: float, height: float = 0.0) -> None:
        """Darkens the ground under something and, in the sun, beside it."""
        arc = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        reach = self.sun * height * 1.2
        for stretch, share in ((0.0, 1.0), (reach, 0.75)):
            if stretch == 0.0 and share != 1.0:
                continue
            shift = -np.sign(self.light[0]) * stretch * 0.5
            across = (wide / 2 + stretch * 0.5) * np.cos(arc)
            rim = np.stack([x + shift + across, 0 * arc, z + long / 2 * np.sin(arc)], 1)
            shape = fixed(self.project(rim) / 2)
            cv2.fillPoly(self.shade, [shape], 1.0 - dark * share, cv2.LINE_AA, SUBPIXEL)


def lying(left: float, right: float, near: float, far: float) -> Quad:
    """Draws a rectangle on the ground."""
    return [(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)]


def facing(left: float, right: float, low: float, high: float, z: float) -> Quad:
    """Draws an upright rectangle across the road, facing the camera."""
    return [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]


def flanking(x: float, low: float, high: float, near: float, far: float) -> Quad:
    """Draws an upright rectangle along the road."""
    return [(x, low, near), (x, low, far), (x, high, far), (x, high, near)]


def paint_sky(place: Place, rng: np.random.Generator, zenith: Colour, rim: Colour, cloudy: float) -> None:
    """Draws the sky, a gradient from zenith to horizon with clouds."""
    rows = min(place.height, max(1, int(place.horizon) + 2))
    t = (np.linspace(0, 1, rows, dtype=np.float32) ** 1.3)[:, None, None]
    column = np.asarray(zenith, np.float32) * (1 - t) + np.asarray(rim, np.float32) * t
    sky = np.broadcast_to(column, (rows, place.width, 3))
    small = noise(rng, max(2, rows // 2), max(2, place.width // 6), "cloud", place.height / 500)
    cover = cv2.resize(np.clip(small * 0.5 + cloudy - 0.35, 0, 1), (place.width, rows))[..., None]
    white = np.asarray([252, 250, 248], np.float32) * np.asarray(place.gain, np.float32) ** 0.5
    puff = white * np.clip(0.92 - 0.35 * cover, 0, 1)
    cover = np.minimum(cover * 1.6, 0.95)
    place.image[:rows] = np.clip(sky * (1 - cover) + puff * cover, 0, 255).astype(np.uint8)
    place.labels[:rows] = SKY


def paint_ground(place: Place, rng: np.random.Generator, asphalt: Colour, kerb: Colour) -> None:
    """Draws road, pavements and verges, textured in perspective."""
    top = int(np.ceil(place.horizon + 1))
    if top >= place.height:
        return
    v = np.arange(top, place.height, dtype=np.float32) + 0.5
    z = place.focal * place.eye / np.maximum(v - place.horizon, 0.5)
    u = np.arange(place.width, dtype=np.float32) + 0.5 - place.width / 2
    x = (z / place.focal)[:, None] * u[None] - place.centre(z).astype(np.float32)[:, None]
    along = z + np.float32(place.travelled)  # of what lies on the ground, whatever the camera does
    ragged = noise_field("cloud")[(along * 9).astype(np.int64) % FIELD, 3][:, None]
    wobble = (0.0 if place.pavement else 0.25) * ragged
    zone = np.full(x.shape, 2, np.uint8)
    zone[(x > place.left - place.pavement + wobble) & (x < place.right + place.pavement + wobble)] = 1
    zone[(x > place.left + wobble) & (x < place.right + wobble)] = 0
    colours = np.asarray([asphalt, kerb if place.pavement else place.ground, place.ground], np.float32)
    offset = rng.integers(0, FIELD, 6)

    def ground_noise(kind: str, ahead: int, across: int, start: int) -> Floats:
        """Noise that lies on the ground, `ahead` and `across` field pixels per metre."""
        rows = (along * ahead).astype(np.int64) + offset[start]
        columns = (x * across).astype(np.int64) + offset[start + 1]
        wrap = FIELD - 1  # a mask, as FIELD is a power of two: much faster than the remainder
        piece: Floats = noise_field(kind)[rows[:, None] & wrap, columns & wrap]
        return piece

    fine, broad = ground_noise("grain", 55, 90, 0), ground_noise("cloud", 9, 30, 2)
    near = np.clip(14.0 / z, 0.08, 1.0)[:, None]
    rough = np.asarray([0.05, 0.05, 0.14], np.float32)[zone]
    patchy = np.asarray([0.045, 0.06, 0.16], np.float32)[zone]
    gain = 1.0 + fine * near * rough + broad * patchy
    wheel = np.abs(np.mod(x - place.left, 3.4) - 1.7)
    gain -= np.float32(0.05) * ((np.abs(wheel - 0.8) < 0.3) & (zone == 0))
    joints = (
        (zone == 1) & ((np.mod(x, 0.6) < 0.03) | (np.mod(along, 0.6)[:, None] < 0.04)) & (z < 25)[:, None]
    )
    gain -= np.float32(0.22 if place.pavement else 0.0) * joints
    rows = colours[zone] * gain[..., None] * np.asarray(place.gain, np.float32)
    clear = np.exp(-place.fog * z)[:, None, None]
    rows = rows * clear + np.asarray(place.haze, np.float32) * (1 - clear)
    place.image[top:] = np.clip(rows, 0, 255).astype(np.uint8)
    place.labels[top:] = np.asarray([DRIVABLE, NON_DRIVABLE, NON_DRIVABLE], np.uint8)[zone]


def paint_markings(place: Place, rng: np.random.Generator, colour: Colour, lanes: int) -> None:
    """Draws lane lines, edge lines, patches and cracks on the road, all worn."""
    span, bare = place.right - place.left, place.image.copy()
    for _ in range(int(rng.integers(0, 5))):
        x, z = rng.uniform(place.left, place.right - 1), rng.uniform(4, 40)
        w, d = rng.uniform(0.6, 2.5), rng.uniform(1, 6)
        tone = scaled((78, 78, 80), rng.uniform(0.85, 1.25))
        x2 = min(x + w, place.right)
        place.face(lying(x, x2, z, z + d), tone)
    for _ in range(int(rng.integers(0, 4))):
        depths = np.cumsum(rng.uniform(0.3, 1.2, 12)) + rng.uniform(3, 20)
        drift = rng.uniform(place.left, place.right) + np.cumsum(rng.normal(0, 0.18, 12))
        crack = np.stack([np.clip(drift, place.left, place.right), 0 * depths, depths], 1)
        place.line(crack, (52, 52, 54), 10)
    if lanes:
        quads = []
        for k in range(lanes + 1):
            x = place.left + span * k / lanes + (0.25 if k == 0 else -0.25 if k == lanes else 0.0)
            step = 3.0 if k in {0, lanes} else 9.0
            mark = step if k in {0, lanes} else rng.choice([3.0, 4.5])
            for z in np.arange(NEAR + rng.uniform(0, 4), 110, step):
                quads.append(lying(x - 0.08, x + 0.08, z, z + mark))
        near, far = [q for q in quads if q[0][2] < 25], [q for q in quads if q[0][2] >= 25]
        place.faces(np.asarray(far, np.float64), colour)
        place.faces(np.asarray(near, np.float64), colour)
    if lanes and rng.random() < 0.2:  # zebra crossing
        z = rng.uniform(8, 30)
        bars = np.arange(place.left + 0.3, place.right - 0.4, 0.9)
        place.faces(np.asarray([lying(x, x + 0.45, z, z + 3) for x in bars]), colour)
    wear = noise(rng, place.height, place.width, "grain", place.height / 360)
    wear += noise(rng, place.height, place.width, "cloud", place.height / 500)
    share = np.clip(0.78 + 0.13 * wear, 0.3, 0.97)[..., None]
    place.image = (bare * (1 - share) + place.image * share).astype(np.uint8)


def paint_skyline(place: Place, rng: np.random.Generator, leafy: Colour, tall: float) -> None:
    """Hills or a tree line along the horizon."""
    w = place.width
    contour = noise(rng, 2, w, "cloud", w / 500)[0] * 0.35 + noise(rng, 2, w, "grain", 2)[0] * 0.06
    tops = place.horizon - place.focal * tall / 110 * np.clip(1.0 + contour, 0.15, 3)
    foot = place.horizon + 3
    rim = np.concatenate([np.stack([np.arange(w), tops], 1), [(w, foot), (0, foot)]])
    mask = np.zeros(place.labels.shape, np.uint8)
    cv2.fillPoly(mask, [fixed(rim)], 255, cv2.LINE_8, SUBPIXEL)
    low, high = max(0, int(tops.min())), min(place.height, int(place.horizon) + 4)
    if high <= low:
        return
    inside = mask[low:high] > 0
    # The air between lies over the texture, so the noise belongs to the leaves alone.
    near, air = np.asarray(place.seen(leafy, 0)), np.asarray(place.seen((0, 0, 0), 90))
    clear = np.exp(-place.fog * 90)
    gain = 1 + 0.22 * noise(rng, high - low, w, "grain", place.height / 360)
    tone = near * clear * gain[..., None] + air
    place.image[low:high][inside] = np.clip(tone, 0, 255).astype(np.uint8)[inside]
    place.labels[low:high][inside] = FAR
