"""Plans what stands where in a drawn scene: traffic, people, roadside things and the unknown objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oodseg.synth.drawn_objects import KINDS
from oodseg.synth.drawn_street import Place
from oodseg.synth.drawn_things import SHAPES

Box = tuple[float, float, float, float]
SPREAD = {"trunk": 3.2, "boat": 2.3, "couch": 1.9, "crate": 1.2, "cow": 1.3, "elephant": 1.2, "tent": 1.5}
"""Width of the unknown objects that are wider than 0.9 of their height, as a share of it."""


@dataclass(frozen=True)
class Thing:
    """Something to be painted: its kind, where it stands (metres) and its height."""

    kind: str
    x: float
    z: float
    tall: float
    name: str = ""


def choose_population(place: Place, rng: np.random.Generator) -> list[Thing]:
    """Chooses traffic, people and roadside things."""
    things: list[Thing] = []
    city, left, right = place.domain == "city", place.left, place.right
    vehicles = ["sedan", "hatch", "van", "bus", "lorry"]
    for _ in range(int(rng.integers(0, 5))):
        name = str(rng.choice(vehicles, p=[0.4, 0.3, 0.12, 0.06, 0.12]))
        lane = rng.uniform(left + 1.6, right - 1.6)
        z = _log_uniform(rng, 9, 90)
        if all(abs(z - t.z) > 9 or abs(lane - t.x) > 2.6 for t in things):
            things.append(Thing("vehicle", lane, z, SHAPES[name][3], name))
    if city:
        for side, edge in ((-1.0, left), (1.0, right)):
            z = rng.uniform(4, 14)
            while z < 60 and rng.random() < 0.75:
                name = str(rng.choice(vehicles[:3]))
                things.append(Thing("vehicle", edge + side * 0.2, z, SHAPES[name][3], name))
                z += SHAPES[name][1] + rng.uniform(0.8, 12)
    for _ in range(int(rng.integers(0, 7 if city or place.domain == "dusty" else 2))):
        side = float(rng.choice([-1, 1]))
        edge = right if side > 0 else -left
        x = side * (edge + rng.uniform(0.3, 2.5)) if rng.random() < 0.85 else rng.uniform(left, right)
        things.append(Thing("person", x, _log_uniform(rng, 5, 60), rng.uniform(1.5, 1.85)))
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(left + 0.5, right - 0.5)
        things.append(Thing("rider", x, rng.uniform(7, 50), rng.uniform(1.6, 1.8)))
    trees = {"city": 5, "country": 14, "highway": 8, "dusty": 7}[place.domain]
    gap = place.pavement + (0.8 if city else 2.0)
    for _ in range(int(rng.integers(0, trees + 1))):
        side = float(rng.choice([-1, 1]))
        away = (right if side > 0 else -left) + (rng.uniform(0.8, gap) if city else gap + rng.exponential(6))
        z = _log_uniform(rng, 9, 90)
        if rng.random() < (0.15 if city else 0.4):
            things.append(Thing("bush", side * away, z, rng.uniform(0.6, 2.0)))
        else:
            things.append(Thing("tree", side * away, z, rng.uniform(4, 11)))
    for _ in range(int(rng.integers(0, 6))):
        side = float(rng.choice([-1, 1]))
        edge = (right if side > 0 else -left) + rng.uniform(0.4, 1.2)
        things.append(Thing("pole", side * edge, _log_uniform(rng, 6, 70), 3.0))
    if place.domain in {"highway", "country"} and rng.random() < 0.6:
        side = float(rng.choice([-1, 1]))
        things.append(Thing("fence", side * ((right if side > 0 else -left) + 0.8), 70.0, 0.8))
    return things


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draws a size or depth so that each doubling is equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def choose_strangers(place: Place, rng: np.random.Generator, count: int) -> list[Thing]:
    """Chooses the unknown objects so that none occludes another."""
    chosen: list[Thing] = []
    boxes: list[Box] = []
    names = sorted(KINDS)
    for attempt in range(400):
        if len(chosen) == count:
            break
        name = names[int(rng.integers(len(names)))]
        tall = rng.uniform(*KINDS[name][1:])
        pixels = _log_uniform(rng, max(10, place.height / 30), place.height * 0.36)
        pixels /= max(1.0, SPREAD.get(name, 0.9))
        deepest = place.focal * place.eye / (place.height * 0.985 - place.horizon)
        z = max(place.focal * tall / pixels, deepest)
        tall = pixels * z / place.focal if z == deepest else tall
        if z > min(85.0, 1.2 / place.fog):  # farther, fog leaves nothing to see
            continue
        on_road = rng.random() < 0.7
        reach = 0.0 if on_road else 3.5
        span = place.width / 2 / place.focal * z * 0.92
        middle = float(place.centre(z))
        low, high = max(place.left - reach, -span - middle), min(place.right + reach, span - middle)
        if low >= high:
            continue
        thing = Thing("unknown", rng.uniform(low, high), z, tall, name)
        box = extent(place, thing)
        if attempt < 350 and any(overlap(box, other) for other in boxes):
            continue
        chosen.append(thing)
        boxes.append(box)
    return chosen


def extent(place: Place, thing: Thing) -> Box:
    """Generous `xyxy` extent of a thing in pixels."""
    halves = {"vehicle": 1.4, "tree": thing.tall * 0.5, "fence": 0.0, "pole": 0.6}
    half = halves.get(thing.kind, thing.tall * max(0.9, 0.75 * SPREAD.get(thing.name, 0.9)))
    low = place.project([(thing.x - half, 0, thing.z), (thing.x + half, thing.tall, thing.z)])
    return float(low[0, 0]), float(low[1, 1]), float(low[1, 0]), float(low[0, 1])


def overlap(a: Box, b: Box) -> bool:
    """Tells whether two boxes overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
