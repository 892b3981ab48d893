"""Street scenes the project draws itself: no data needed, exact labels, unknown objects known to the pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oodseg.exposure.drawn_objects import KINDS, draw_unknown
from oodseg.exposure.drawn_street import (
    FAR, IGNORE, LIVING, VEHICLE, Place,
    paint_buildings, paint_ground, paint_markings, paint_sky, paint_skyline,
)  # fmt: skip
from oodseg.exposure.drawn_texture import Bytes, Colour, noise, tint
from oodseg.exposure.drawn_things import (
    SHAPES, draw_bush, draw_person, draw_rider, draw_tree, paint_fence, paint_pole, paint_vehicle, paint_wires,
)  # fmt: skip

MOST = 4  # unknown objects a scene


@dataclass(frozen=True)
class DrawnScene:
    """One drawn street scene.

    Attributes:
        image: uint8 `[H, W, 3]`, RGB.
        labels: uint8 `[H, W]`: 0 drivable, 1 non-drivable, 2 living things, 3 vehicles, 4 roadside objects,
            5 far objects, 6 sky, 255 on unknown objects (they have no class).
        unknown: uint8 `[H, W]`: 0 nothing unknown, 1..N the visible pixels of the N unknown objects; their
            shadows are not part of them.
    """

    image: Bytes
    labels: Bytes
    unknown: Bytes


@dataclass(frozen=True)
class _Thing:
    """Something to be painted: its kind, where it stands (metres) and its height."""

    kind: str
    x: float
    z: float
    tall: float
    name: str = ""


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int] = (360, 640), unknown_count: int | None = None
) -> DrawnScene:
    """Draws one scene.

    Args:
        rng: Source of every choice; the same state gives the same scene.
        size: Height and width in pixels, at least 64 each.
        unknown_count: Number of unknown objects, 0 to 4; drawn at random when `None`.

    Returns:
        The picture with its labels.

    Raises:
        ValueError: The size or the count is out of range.
    """
    height, width = size
    if min(height, width) < 64:
        raise ValueError(f"a drawn scene needs at least 64x64 pixels, not {width}x{height}")
    if unknown_count is not None and not 0 <= unknown_count <= MOST:
        raise ValueError(f"a drawn scene holds 0 to {MOST} unknown objects, not {unknown_count}")
    count = int(rng.integers(0, MOST + 1)) if unknown_count is None else unknown_count
    place, leaf = _street(rng, height, width)
    things = _population(place, rng)
    strangers = _strangers(place, rng, count)
    _ground_shadows(place, rng, things + strangers)
    hidden = [_extent(place, s) for s in strangers]
    unknown = np.zeros((height, width), np.uint8)
    index = {id(s): k + 1 for k, s in enumerate(strangers)}
    for thing in sorted(things + strangers, key=lambda t: -t.z):
        if thing.kind == "unknown":
            rgb, alpha = draw_unknown(rng, thing.name, _canvas(place, thing), place.light)
            _paste(place, rgb, alpha, thing, IGNORE, unknown, index[id(thing)])
        elif not any(
            _overlap(_extent(place, thing), box) for s, box in zip(strangers, hidden, strict=True) if thing.z < s.z
        ):
            _paint(place, rng, thing, leaf, unknown)
    place.image = _camera(place, rng)
    return DrawnScene(place.image, place.labels, unknown)


def _street(rng: np.random.Generator, height: int, width: int) -> tuple[Place, Colour]:
    """Chooses place and weather and paints what never moves."""
    domain = str(rng.choice(["city", "country", "highway", "dusty"], p=[0.4, 0.25, 0.15, 0.2]))
    weather = str(rng.choice(["noon", "dusk", "overcast"], p=[0.45, 0.15, 0.4]))
    lanes = {"city": int(rng.integers(2, 4)), "country": 2, "highway": int(rng.integers(3, 5)), "dusty": int(rng.choice([0, 2]))}[domain]
    wide = {"city": 3.2, "country": 3.1, "highway": 3.6, "dusty": 3.3}[domain] * max(lanes, 2)
    shift = wide * rng.uniform(0.3, 0.7)
    gain = {"noon": (1.08, 1.03, 0.96), "dusk": (0.62, 0.55, 0.56), "overcast": (0.82, 0.84, 0.86)}[weather]
    zenith: Colour = {"noon": (92, 140, 206), "dusk": (84, 92, 130), "overcast": (168, 174, 182)}[weather]
    rim: Colour = {"noon": (196, 212, 226), "dusk": (222, 170, 130), "overcast": (208, 210, 212)}[weather]
    if domain == "dusty":
        zenith, rim = (168, 176, 182), (216, 208, 194)
    zenith, rim = tint(rng, zenith, 10), tint(rng, rim, 8)
    foggy = rng.random() < 0.15
    ground: Colour = {"city": (112, 108, 98), "country": (96, 112, 58), "highway": (108, 116, 72), "dusty": (172, 142, 104)}[domain]
    place = Place(
        domain, height, width,
        focal=width * rng.uniform(0.65, 1.05), horizon=height * rng.uniform(0.36, 0.52), eye=rng.uniform(1.2, 2.0),
        bend=float(rng.normal(0, 0.0012)), left=-shift, right=wide - shift,
        pavement=rng.uniform(1.5, 3.5) if domain == "city" else 0.0,
        light=(float(rng.choice([-1, 1])) * rng.uniform(0.4, 0.8), -0.7),
        sun={"noon": 1.0, "dusk": 0.3, "overcast": 0.0}[weather], gain=gain,
        fog=rng.uniform(0.015, 0.035) if foggy else rng.uniform(0.002, 0.008), haze=tint(rng, rim, 4),
        ground=tint(rng, ground, 10),
    )  # fmt: skip
    leaf = tint(rng, (78, 98, 44) if domain != "dusty" else (104, 108, 68), 8)
    cloudy = {"noon": rng.uniform(0.0, 0.5), "dusk": 0.35, "overcast": rng.uniform(0.4, 0.9)}[weather]
    paint_sky(place, rng, zenith, rim, cloudy)
    asphalt = tint(rng, (104, 104, 106) if domain != "dusty" else (138, 126, 110), 12)
    paint_ground(place, rng, asphalt, tint(rng, (150, 146, 140), 12))
    paint_skyline(place, rng, leaf, rng.uniform(5, 12) if domain != "city" else rng.uniform(8, 16))
    paint_markings(place, rng, (226, 224, 214) if rng.random() < 0.85 else (214, 176, 70), lanes)
    if domain == "city" or (domain == "dusty" and rng.random() < 0.7):
        for side in (-1, 1):
            if rng.random() < 0.85:
                paint_buildings(place, rng, side, 0.2 if domain == "city" else rng.uniform(2, 6))
        _wall_texture(place, rng)
    if rng.random() < 0.3:
        paint_wires(place, rng, place.right + 1)
    return place, leaf


def _wall_texture(place: Place, rng: np.random.Generator) -> None:
    """Dirt and plaster on everything that is far by label."""
    rows = max(2, int(place.horizon + place.height * 0.3))
    gain = 1.0 + 0.07 * noise(rng, rows, place.width, "cloud", place.height / 500)
    gain += 0.03 * noise(rng, rows, place.width, "grain", 1.0)
    part = place.image[:rows]
    textured = np.clip(part * gain[..., None], 0, 255).astype(np.uint8)
    np.copyto(part, textured, where=(place.labels[:rows] == FAR)[..., None])


def _population(place: Place, rng: np.random.Generator) -> list[_Thing]:
    """Chooses traffic, people and roadside things."""
    things: list[_Thing] = []
    city, left, right = place.domain == "city", place.left, place.right
    vehicles = ["sedan", "hatch", "van", "bus", "lorry"]
    for _ in range(int(rng.integers(0, 5))):
        name = str(rng.choice(vehicles, p=[0.4, 0.3, 0.12, 0.06, 0.12]))
        lane = rng.uniform(left + 1.6, right - 1.6)
        z = float(np.exp(rng.uniform(np.log(9), np.log(90))))
        if all(abs(z - t.z) > 9 or abs(lane - t.x) > 2.6 for t in things):
            things.append(_Thing("vehicle", lane, z, SHAPES[name][3], name))
    if city:
        for side, edge in ((-1, left), (1, right)):
            z = rng.uniform(4, 14)
            while z < 60 and rng.random() < 0.75:
                name = str(rng.choice(vehicles[:3]))
                things.append(_Thing("vehicle", edge + side * 0.2, z, SHAPES[name][3], name))
                z += SHAPES[name][1] + rng.uniform(0.8, 12)
    for _ in range(int(rng.integers(0, 7 if city or place.domain == "dusty" else 2))):
        side = float(rng.choice([-1, 1]))
        edge = right if side > 0 else -left
        x = side * (edge + rng.uniform(0.3, 2.5)) if rng.random() < 0.85 else rng.uniform(left, right)
        things.append(_Thing("person", x, float(np.exp(rng.uniform(np.log(5), np.log(60)))), rng.uniform(1.5, 1.85)))
    for _ in range(int(rng.integers(0, 3))):
        things.append(_Thing("rider", rng.uniform(left + 0.5, right - 0.5), rng.uniform(7, 50), rng.uniform(1.6, 1.8)))
    trees = {"city": 5, "country": 14, "highway": 8, "dusty": 7}[place.domain]
    gap = place.pavement + (0.8 if city else 2.0)
    for _ in range(int(rng.integers(0, trees + 1))):
        side = float(rng.choice([-1, 1]))
        away = (right if side > 0 else -left) + (rng.uniform(0.8, gap) if city else gap + rng.exponential(6))
        z = float(np.exp(rng.uniform(np.log(9), np.log(90))))
        bush = rng.random() < (0.15 if city else 0.4)
        things.append(_Thing("bush" if bush else "tree", side * away, z, rng.uniform(0.6, 2.0) if bush else rng.uniform(4, 11)))
    for _ in range(int(rng.integers(0, 6))):
        side = float(rng.choice([-1, 1]))
        edge = (right if side > 0 else -left) + rng.uniform(0.4, 1.2)
        things.append(_Thing("pole", side * edge, float(np.exp(rng.uniform(np.log(6), np.log(70)))), 3.0))
    if place.domain in {"highway", "country"} and rng.random() < 0.6:
        side = float(rng.choice([-1, 1]))
        things.append(_Thing("fence", side * ((right if side > 0 else -left) + 0.8), 70.0, 0.8))
    return things


def _strangers(place: Place, rng: np.random.Generator, count: int) -> list[_Thing]:
    """Chooses the unknown objects so that none hides another."""
    chosen: list[_Thing] = []
    boxes: list[tuple[float, float, float, float]] = []
    names = sorted(KINDS)
    for attempt in range(400):
        if len(chosen) == count:
            break
        name = names[int(rng.integers(len(names)))]
        tall = rng.uniform(*KINDS[name][1:])
        pixels = float(np.exp(rng.uniform(np.log(10), np.log(place.height / 3))))
        deepest = place.focal * place.eye / (place.height * 0.985 - place.horizon)
        z = max(place.focal * tall / pixels, deepest)
        tall = pixels * z / place.focal if z == deepest else tall
        if z > 85:
            continue
        on_road = rng.random() < 0.7
        reach = 0.0 if on_road else 3.5
        span = place.width / 2 / place.focal * z * 0.92
        middle = float(place.centre(z))
        low, high = max(place.left - reach, -span - middle), min(place.right + reach, span - middle)
        if low >= high:
            continue
        thing = _Thing("unknown", rng.uniform(low, high), z, tall, name)
        box = _extent(place, thing)
        if attempt < 300 and any(_overlap(box, other) for other in boxes):
            continue
        chosen.append(thing)
        boxes.append(box)
    return chosen


def _extent(place: Place, thing: _Thing) -> tuple[float, float, float, float]:
    """Generous `xyxy` extent of a thing in pixels."""
    half = {"vehicle": 1.4, "tree": thing.tall * 0.5, "fence": 0.0, "pole": 0.6}.get(thing.kind, thing.tall * 0.9)
    low = place.project([(thing.x - half, 0, thing.z), (thing.x + half, thing.tall, thing.z)])
    return float(low[0, 0]), float(low[1, 1]), float(low[1, 0]), float(low[0, 1])


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _ground_shadows(place: Place, rng: np.random.Generator, things: list[_Thing]) -> None:
    """Collects every shadow in one map and darkens the ground with it."""
    for t in things:
        if t.kind == "vehicle":
            _, long, wide, tall = SHAPES[t.name]
            place.cast(t.x, t.z + long / 2, wide * 1.1, long * 1.05, 0.62, tall * 0.6)
        elif t.kind in {"person", "rider", "unknown"}:
            wide = t.tall * (0.8 if t.kind == "unknown" else 0.35)
            place.cast(t.x, t.z + 0.1, wide, max(0.3, wide * 0.5), 0.5, t.tall * 0.7)
        elif t.kind in {"tree", "bush"}:
            place.cast(t.x, t.z, t.tall * 0.6, t.tall * 0.5, 0.25 + 0.25 * place.sun, t.tall * 0.5)
    top = int(place.horizon) + 1
    soft = cv2.GaussianBlur(place.shade, (0, 0), max(0.8, place.height / 300))
    gain = cv2.resize(soft, (place.width, place.height))[top:]
    below = place.image[top:]
    dark = np.clip(below * gain[..., None], 0, 255).astype(np.uint8)
    np.copyto(below, dark, where=(place.labels[top:] <= 1)[..., None])


def _canvas(place: Place, thing: _Thing) -> int:
    """Height in pixels at which a thing is drawn before it is shrunk into the scene."""
    return int(np.clip(1.5 * place.focal * thing.tall / thing.z, 40, 300))


def _paint(place: Place, rng: np.random.Generator, thing: _Thing, leaf: Colour, unknown: Bytes) -> None:
    """Paints one thing that belongs to the street."""
    if thing.kind == "vehicle":
        paint_vehicle(place, rng, thing.x, thing.z, thing.name)
    elif thing.kind == "pole":
        paint_pole(place, rng, thing.x, thing.z)
    elif thing.kind == "fence":
        paint_fence(place, rng, thing.x, 4.0, 70.0)
    elif thing.kind == "rider":
        rgb, alpha, machine = draw_rider(rng, _canvas(place, thing), place.light)
        _paste(place, rgb, alpha, thing, LIVING, unknown, 0)
        _paste(place, rgb, machine, thing, VEHICLE, unknown, 0)
    else:
        if thing.kind == "person":
            rgb, alpha = draw_person(rng, _canvas(place, thing), place.light)
        else:
            draw = draw_tree if thing.kind == "tree" else draw_bush
            rgb, alpha = draw(rng, _canvas(place, thing), place.light, tint(rng, leaf, 8))
        _paste(place, rgb, alpha, thing, LIVING if thing.kind == "person" else FAR, unknown, 0)


def _paste(
    place: Place, rgb: Bytes, alpha: Bytes, thing: _Thing, label: int, unknown: Bytes, index: int
) -> None:
    """Shrinks a drawn thing to its size on the picture and blends it in."""
    (foot_x, foot_y), (_, head_y) = place.project([(thing.x, 0, thing.z), (thing.x, thing.tall, thing.z)])
    h = max(3, round(foot_y - head_y))
    w = max(2, round(h * rgb.shape[1] / rgb.shape[0]))
    left, top = round(foot_x - w / 2), round(foot_y) - h
    y0, x0, y1, x1 = max(0, top), max(0, left), min(place.height, top + h), min(place.width, left + w)
    if y1 <= y0 or x1 <= x0:
        return
    cut = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    how = cv2.INTER_AREA if h < rgb.shape[0] else cv2.INTER_LINEAR
    colour = cv2.resize(np.dstack([rgb * (alpha > 0)[..., None], alpha]), (w, h), interpolation=how)[cut]
    share = colour[..., 3:].astype(np.float32) / 255
    clear = float(np.exp(-place.fog * thing.z))
    tone = colour[..., :3] * np.float32(place.gain) * clear + np.float32(place.haze) * (1 - clear) * share
    spot = place.image[y0:y1, x0:x1]
    spot[:] = np.clip(spot * (1 - share) + tone, 0, 255).astype(np.uint8)
    inside = share[..., 0] >= 0.5
    place.labels[y0:y1, x0:x1][inside] = label
    unknown[y0:y1, x0:x1][inside] = index


def _camera(place: Place, rng: np.random.Generator) -> Bytes:
    """Lens, sensor and compression."""
    h, w = place.height, place.width
    image = cv2.GaussianBlur(place.image, (0, 0), rng.uniform(0.45, 0.9) * max(1.0, h / 500))
    y = np.linspace(-1, 1, h, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, w, dtype=np.float32)[None] ** 2
    gain = rng.uniform(0.92, 1.1) * (1.0 - rng.uniform(0.0, 0.18) * (x + y))
    grain = noise(rng, h, w, "white") * rng.uniform(1.0, 5.0)
    exposed = np.clip(image * gain[..., None] + grain[..., None], 0, 255).astype(np.uint8)
    quality = int(rng.integers(72, 96))
    _, packed = cv2.imencode(".jpg", exposed, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
