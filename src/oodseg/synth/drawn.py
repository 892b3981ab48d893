"""Street scenes drawn by the project itself: no data needed, exact labels down to the unknown objects."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oodseg.core.taxonomy import FAR, IGNORE, LIVING, VEHICLE
from oodseg.synth.drawn_houses import paint_buildings
from oodseg.synth.drawn_objects import draw_unknown
from oodseg.synth.drawn_plan import SPREAD, Thing, choose_population, choose_strangers, extent, overlap
from oodseg.synth.drawn_street import Place, paint_ground, paint_markings, paint_sky, paint_skyline
from oodseg.synth.drawn_texture import Bytes, Colour, noise, tint
from oodseg.synth.drawn_things import (
    SHAPES,
    draw_bush,
    draw_person,
    draw_rider,
    draw_tree,
    paint_fence,
    paint_pole,
    paint_vehicle,
    paint_wires,
)
from oodseg.synth.drawn_weather import WEATHERS, rain_streaks, wet_ground

MOST = 4  # unknown objects per scene
DOMAINS = {"city": 0.4, "country": 0.25, "highway": 0.15, "dusty": 0.2}  # with how often each is drawn


@dataclass(frozen=True)
class DrawnScene:
    """One drawn street scene.

    Attributes:
        image: uint8 `[H, W, 3]`, RGB.
        labels: uint8 `[H, W]`: 0 drivable, 1 non-drivable, 2 living things, 3 vehicles, 4 roadside objects,
            5 far objects, 6 sky, 255 on unknown objects (they have no class).
        unknown: uint8 `[H, W]`: 0 nothing unknown, 1..N the visible pixels of the N unknown objects; their
            shadows are not part of them.
        domain: A key of `DOMAINS`.
        weather: A key of `oodseg.synth.drawn_weather.WEATHERS`.
    """

    image: Bytes
    labels: Bytes
    unknown: Bytes
    domain: str
    weather: str


def draw_scene(
    rng: np.random.Generator,
    size: tuple[int, int] = (360, 640),
    unknown_count: int | None = None,
    domain: str | None = None,
    weather: str | None = None,
) -> DrawnScene:
    """Draws one scene.

    Args:
        rng: Source of every choice; the same state gives the same scene.
        size: Height and width in pixels, at least 64 each.
        unknown_count: Number of unknown objects, 0 to 4; drawn at random when `None`.
        domain: A key of `DOMAINS`; drawn at random when `None`.
        weather: A key of `oodseg.synth.drawn_weather.WEATHERS`; drawn at random when `None`.

    Returns:
        The image with its labels.

    Raises:
        ValueError: The size or the count is out of range, or domain or weather unknown.
    """
    height, width = size
    if min(height, width) < 64:
        raise ValueError(f"a drawn scene needs at least 64x64 pixels, not {width}x{height}")
    if unknown_count is not None and not 0 <= unknown_count <= MOST:
        raise ValueError(f"a drawn scene holds 0 to {MOST} unknown objects, not {unknown_count}")
    count = int(rng.integers(0, MOST + 1)) if unknown_count is None else unknown_count
    chances = {name: share for name, (share, _) in WEATHERS.items()}
    domain, weather = _choice(rng, "domain", DOMAINS, domain), _choice(rng, "weather", chances, weather)
    place, leaf = _street(rng, height, width, domain, weather)
    things = choose_population(place, rng)
    strangers = choose_strangers(place, rng, count)
    things = [thing for thing in things if not _hides(place, thing, strangers)]
    ground_shadows(place, things + strangers)
    unknown = np.zeros((height, width), np.uint8)
    index = {id(s): k + 1 for k, s in enumerate(strangers)}
    for thing in sorted(things + strangers, key=lambda t: -t.z):
        if thing.kind == "unknown":
            rgb, alpha = draw_unknown(rng, thing.name, _canvas(place, thing), place.light)
            paste(place, rgb, alpha, thing, IGNORE, unknown, index[id(thing)])
        else:
            _paint(place, rng, thing, leaf, unknown)
    unknown[place.labels != IGNORE] = 0
    if weather == "rain":
        wet_ground(place, rng)
        place.image = rain_streaks(place.image, rng)
    place.image = _camera(place, rng)
    return DrawnScene(place.image, place.labels, unknown, domain, weather)


def _choice(rng: np.random.Generator, what: str, chances: dict[str, float], asked: str | None) -> str:
    drawn = str(rng.choice(list(chances), p=list(chances.values())))
    if asked is not None and asked not in chances:
        raise ValueError(f"a drawn scene has no {what} '{asked}': choose one of {', '.join(chances)}")
    return asked or drawn


def _hides(place: Place, thing: Thing, strangers: list[Thing]) -> bool:
    """Tells whether a known thing would occlude an unknown object."""
    if thing.kind == "fence":
        return any(s.x / thing.x > 0.9 for s in strangers)
    box = extent(place, thing)
    return any(thing.z < s.z and overlap(box, extent(place, s)) for s in strangers)


@dataclass(frozen=True)
class Setting:
    """A street before it is painted: where it is, the colours of its sky, its lanes."""

    place: Place
    zenith: Colour
    rim: Colour
    clouds: tuple[float, float]
    lanes: int


def choose_setting(rng: np.random.Generator, height: int, width: int, domain: str, weather: str) -> Setting:
    """Chooses camera, road and light of a street."""
    # Every count is drawn in every domain: the choices after it read the same part of the stream.
    city_lanes, highway_lanes = int(rng.integers(2, 4)), int(rng.integers(3, 5))
    dusty_lanes = int(rng.choice([0, 2]))
    lanes = {"city": city_lanes, "country": 2, "highway": highway_lanes, "dusty": dusty_lanes}[domain]
    wide = {"city": 3.2, "country": 3.1, "highway": 3.6, "dusty": 3.3}[domain] * max(lanes, 2)
    shift = wide * rng.uniform(0.3, 0.7)
    sky = WEATHERS[weather][1]
    hazy = domain == "dusty" and weather == "noon"
    zenith = tint(rng, (168, 176, 182) if hazy else sky.zenith, 10)
    rim = tint(rng, (216, 208, 194) if hazy else sky.rim, 8)
    grounds: dict[str, Colour] = {
        "city": (112, 108, 98),
        "country": (96, 112, 58),
        "highway": (108, 116, 72),
        "dusty": (172, 142, 104),
    }
    place = Place(
        domain,
        height,
        width,
        focal=width * rng.uniform(0.65, 1.05),
        horizon=height * rng.uniform(0.36, 0.52),
        eye=rng.uniform(1.2, 2.0),
        bend=float(rng.normal(0, 0.0012)),
        left=-shift,
        right=wide - shift,
        pavement=rng.uniform(1.5, 3.5) if domain == "city" else 0.0,
        light=(float(rng.choice([-1, 1])) * rng.uniform(0.4, 0.8), -0.7),
        sun=sky.sun,
        gain=sky.gain,
        fog=rng.uniform(*sky.fog),
        haze=tint(rng, rim, 4),
        ground=tint(rng, grounds[domain], 10),
    )
    return Setting(place, zenith, rim, sky.clouds, lanes)


def _street(
    rng: np.random.Generator, height: int, width: int, domain: str, weather: str
) -> tuple[Place, Colour]:
    """Chooses the place and paints the static parts."""
    setting = choose_setting(rng, height, width, domain, weather)
    place = setting.place
    leaf = tint(rng, (78, 98, 44) if domain != "dusty" else (104, 108, 68), 8)
    paint_sky(place, rng, setting.zenith, setting.rim, rng.uniform(*setting.clouds))
    asphalt = tint(rng, (104, 104, 106) if domain != "dusty" else (138, 126, 110), 12)
    paint_ground(place, rng, asphalt, tint(rng, (150, 146, 140), 12))
    paint_skyline(place, rng, leaf, rng.uniform(5, 12) if domain != "city" else rng.uniform(8, 16))
    paint_markings(place, rng, (226, 224, 214) if rng.random() < 0.85 else (214, 176, 70), setting.lanes)
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


def ground_shadows(place: Place, things: list[Thing]) -> None:
    """Collects every shadow in one map and darkens the ground with it."""
    for t in things:
        if t.kind == "vehicle":
            _, long, wide, tall = SHAPES[t.name]
            place.cast(t.x, t.z + long / 2, wide * 1.1, long * 1.05, 0.62, tall * 0.6)
        elif t.kind in {"person", "rider", "unknown"}:
            wide = t.tall * (SPREAD.get(t.name, 0.9) if t.kind == "unknown" else 0.35)
            place.cast(t.x, t.z + 0.1, wide, max(0.3, wide * 0.5), 0.5, t.tall * 0.7)
        elif t.kind in {"tree", "bush"}:
            place.cast(t.x, t.z, t.tall * 0.6, t.tall * 0.5, 0.25 + 0.25 * place.sun, t.tall * 0.5)
    top = int(place.horizon) + 1
    soft = cv2.GaussianBlur(place.shade, (0, 0), max(0.8, place.height / 300))
    gain = cv2.resize(soft, (place.width, place.height))[top:]
    below = place.image[top:]
    dark = np.clip(below * gain[..., None], 0, 255).astype(np.uint8)
    np.copyto(below, dark, where=(place.labels[top:] <= 1)[..., None])


def _canvas(place: Place, thing: Thing) -> int:
    """Height in pixels at which a thing is drawn before it is shrunk into the scene."""
    return int(np.clip(1.5 * place.focal * thing.tall / thing.z, 40, 300))


def _paint(place: Place, rng: np.random.Generator, thing: Thing, leaf: Colour, unknown: Bytes) -> None:
    """Paints one thing that belongs to the street."""
    if thing.kind == "vehicle":
        paint_vehicle(place, rng, thing.x, thing.z, thing.name)
    elif thing.kind == "pole":
        paint_pole(place, rng, thing.x, thing.z)
    elif thing.kind == "fence":
        paint_fence(place, rng, thing.x, 4.0, 70.0)
    elif thing.kind == "rider":
        rgb, alpha, machine = draw_rider(rng, _canvas(place, thing), place.light)
        paste(place, rgb, alpha, thing, LIVING, unknown, 0)
        paste(place, rgb, machine, thing, VEHICLE, unknown, 0)
    else:
        if thing.kind == "person":
            rgb, alpha = draw_person(rng, _canvas(place, thing), place.light)
        else:
            draw = draw_tree if thing.kind == "tree" else draw_bush
            rgb, alpha = draw(rng, _canvas(place, thing), place.light, tint(rng, leaf, 8))
        paste(place, rgb, alpha, thing, LIVING if thing.kind == "person" else FAR, unknown, 0)


def paste(
    place: Place, rgb: Bytes, alpha: Bytes, thing: Thing, label: int, unknown: Bytes, index: int
) -> None:
    """Shrinks a drawn thing to its size on the image and blends it in."""
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
    gain, haze = np.asarray(place.gain, np.float32), np.asarray(place.haze, np.float32)
    tone = colour[..., :3] * gain * clear + haze * (1 - clear) * share
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
    strength = rng.uniform(1.0, 4.0)
    grain = np.dstack([noise(rng, h, w, "white") * strength for _ in range(3)])
    exposed = np.clip(image * gain[..., None] + grain, 0, 255).astype(np.uint8)
    quality = int(rng.integers(72, 96))
    _, packed = cv2.imencode(".jpg", exposed, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
