"""Draws a drive: a camera that moves along a street, with every unknown object known in every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from oodseg.core.taxonomy import FAR, IGNORE, LIVING
from oodseg.synth.drawn import DOMAINS, Setting, choose_setting, ground_shadows, paste
from oodseg.synth.drawn_houses import paint_house
from oodseg.synth.drawn_objects import draw_unknown
from oodseg.synth.drawn_street import NEAR, Place, lying, paint_ground, paint_sky, paint_skyline
from oodseg.synth.drawn_texture import Bytes, Colour, Light, noise, tint
from oodseg.synth.drawn_things import draw_bush, draw_person, draw_tree, paint_pole, paint_vehicle
from oodseg.synth.drawn_weather import WEATHERS
from oodseg.synth.drive_plan import FAR_AHEAD, House, plan_houses, plan_strangers, plan_street

SPEED = 8.0  # metres per second
_CLOSEST = {"vehicle": 5.0}  # metres: what is closer has left the image, or would be drawn askew
_CANVAS = 300  # pixels at which things are drawn once, before they are shrunk into every frame
Sprite = tuple[Bytes, Bytes]


@dataclass(frozen=True, eq=False)
class DriveFrame:
    """One frame of a drawn drive.

    Attributes:
        time: Seconds since its beginning.
        image: uint8 `[H, W, 3]` RGB.
        unknown: uint8 `[H, W]`: 0 nothing unknown, k on the visible pixels of the unknown object k, which
            keeps its number over the whole drive.
    """

    time: float
    image: Bytes
    unknown: Bytes


def draw_drive(
    seed: int,
    *,
    seconds: float = 20.0,
    fps: float = 10.0,
    size: tuple[int, int] = (720, 1280),
    unknown_count: int = 8,
    domain: str = "city",
    weather: str = "noon",
) -> Iterator[DriveFrame]:
    """Draws a drive frame by frame.

    The camera moves at a steady speed, nods and sways a little; trees, houses, parked and oncoming vehicles
    and people pass by. Everything looks the same in every frame but for noise.

    Args:
        seed: Decides everything.
        seconds: How long it is.
        fps: Frames per second.
        size: Height and width in pixels.
        unknown_count: How many unknown objects stand or walk along the road, at most 254.
        domain: A key of `oodseg.synth.drawn.DOMAINS`.
        weather: A key of `oodseg.synth.drawn_weather.WEATHERS`; rain has wet light, but no drops.

    Raises:
        ValueError: An unknown domain or weather, or too many objects.
    """
    if domain not in DOMAINS or weather not in WEATHERS or not 0 <= unknown_count < 255:
        raise ValueError(f"no drive through '{domain}' in '{weather}' with {unknown_count} objects")
    rng = np.random.default_rng(seed)
    scene = _Scene(rng, size, SPEED * seconds, unknown_count, domain, weather)
    for number in range(round(seconds * fps)):
        yield scene.draw(number / fps, np.random.default_rng((seed, number)))


class _Scene:
    """A street with all that happens on it."""

    def __init__(
        self,
        rng: np.random.Generator,
        size: tuple[int, int],
        length: float,
        count: int,
        domain: str,
        weather: str,
    ) -> None:
        self.setting: Setting = choose_setting(rng, *size, domain, weather)
        place = self.setting.place
        self.leaf = tint(rng, (78, 98, 44) if domain != "dusty" else (104, 108, 68), 8)
        self.asphalt = tint(rng, (104, 104, 106) if domain != "dusty" else (138, 126, 110), 12)
        self.kerb = tint(rng, (150, 146, 140), 12)
        self.clouds = rng.uniform(*self.setting.clouds)
        self.houses = plan_houses(rng, length) if domain in {"city", "dusty"} else []
        self.movers = plan_street(rng, place, length) + plan_strangers(rng, place, length, count)
        self.blur, self.grain = rng.uniform(0.45, 0.8) * max(1.0, size[0] / 500), rng.uniform(1.0, 3.0)
        self.seed = int(rng.integers(1 << 31))

    def draw(self, time: float, rng: np.random.Generator) -> DriveFrame:
        """Draws one frame; the generator gives its noise alone."""
        place = self._place(time)
        self._paint_street(place)
        for house in sorted(self.houses, key=lambda each: -each.near):
            self._paint_house(place, house)
        seen = [(mover, mover.seen(time, place.travelled)) for mover in self.movers]
        seen = [
            (mover, thing) for mover, thing in seen if _CLOSEST.get(thing.kind, 2.5) < thing.z < FAR_AHEAD
        ]
        seen.sort(key=lambda each: -each[1].z)
        ground_shadows(place, [thing for _, thing in seen])
        unknown = np.zeros(place.labels.shape, np.uint8)
        for mover, thing in seen:
            rng_of = np.random.default_rng(mover.seed)
            if thing.kind == "vehicle":
                paint_vehicle(place, rng_of, thing.x, thing.z, thing.name)
            elif thing.kind == "pole":
                paint_pole(place, rng_of, thing.x, thing.z)
            else:
                label = {"unknown": IGNORE, "person": LIVING}.get(thing.kind, FAR)
                rgb, alpha = _sprite(thing.kind, thing.name, mover.seed, place.light, self.leaf)
                paste(place, rgb, alpha, thing, label, unknown, mover.identity)
        unknown[place.labels != IGNORE] = 0
        return DriveFrame(time, self._expose(place.image, rng), unknown)

    def _place(self, time: float) -> Place:
        """The street from where the camera is at a time."""
        place = self.setting.place
        nod = place.height * 0.004 * (np.sin(7.1 * time) + 0.6 * np.sin(11.3 * time + 1))
        yaw = 0.012 * np.sin(0.5 * time) + 0.003 * np.sin(2.3 * time)
        return replace(place, travelled=SPEED * time, horizon=place.horizon + nod, yaw=float(yaw))

    def _paint_street(self, place: Place) -> None:
        """Paints sky, skyline, ground and lines; each looks the same whenever it is painted."""
        rng = np.random.default_rng(self.seed)
        paint_sky(place, rng, self.setting.zenith, self.setting.rim, self.clouds)
        paint_skyline(place, np.random.default_rng(self.seed), self.leaf, 9.0)
        turned = round(place.focal * place.yaw)
        place.image, place.labels = np.roll(place.image, turned, 1), np.roll(place.labels, turned, 1)
        paint_ground(place, np.random.default_rng(self.seed), self.asphalt, self.kerb)
        self._paint_lines(place)

    def _paint_lines(self, place: Place) -> None:
        """Paints edge lines and lane lines, worn, as they lie on the road."""
        lanes, bare = self.setting.lanes, place.image.copy()
        quads = []
        for k in range(lanes + 1 if lanes else 0):
            edge = k in {0, lanes}
            x = (
                place.left
                + (place.right - place.left) * k / lanes
                + (0.25 if k == 0 else -0.25 if edge else 0.0)
            )
            step, mark = (3.0, 3.0) if edge else (9.0, 4.0)
            for z in np.arange(-(place.travelled % step), 110, step):
                if z + mark > NEAR:
                    quads.append(lying(x - 0.08, x + 0.08, max(z, NEAR), z + mark))
        for far in (True, False):
            place.faces(np.asarray([q for q in quads if (q[0][2] >= 25) == far], np.float64), (226, 224, 214))
        wear = noise(np.random.default_rng(self.seed), place.height, place.width, "cloud", place.height / 500)
        share = np.clip(0.68 + 0.13 * wear, 0.3, 0.9)[..., None]
        place.image = (bare * (1 - share) + place.image * share).astype(np.uint8)

    def _paint_house(self, place: Place, house: House) -> None:
        near, far = house.near - place.travelled, house.far - place.travelled
        if NEAR < near < FAR_AHEAD:
            edge = (place.right if house.side > 0 else -place.left) + place.pavement
            setback = 0.2 if place.domain == "city" else 4.0
            paint_house(place, np.random.default_rng(house.seed), house.side, edge + setback, near, far)

    def _expose(self, image: Bytes, rng: np.random.Generator) -> Bytes:
        """Lens and sensor: the blur stays, the noise is new in every frame."""
        height, width = image.shape[:2]
        soft = cv2.GaussianBlur(image, (0, 0), self.blur).astype(np.float32)
        grain = np.dstack([noise(rng, height, width, "white") * self.grain for _ in range(3)])
        exposed: Bytes = np.clip(soft + grain, 0, 255).astype(np.uint8)
        return exposed


@lru_cache(maxsize=512)
def _sprite(kind: str, name: str, seed: int, light: Light, leaf: Colour) -> Sprite:
    """Draws a thing once, for all frames."""
    rng = np.random.default_rng(seed)
    if kind == "unknown":
        return draw_unknown(rng, name, _CANVAS, light)
    if kind == "person":
        return draw_person(rng, _CANVAS, light)
    draw = draw_tree if kind == "tree" else draw_bush
    return draw(rng, _CANVAS, light, tint(rng, leaf, 8))
