"""Plans a drawn drive: what stands along the road, what moves, and where the unknown objects are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from oodseg.synth.drawn_objects import KINDS
from oodseg.synth.drawn_plan import SPREAD, Thing
from oodseg.synth.drawn_street import Place
from oodseg.synth.drawn_things import SHAPES

FAR_AHEAD = 90.0  # metres within which things are drawn
_ANIMALS = {"cow", "dog", "deer", "zebra", "elephant", "sheep", "bird"}


@dataclass(frozen=True)
class Mover:
    """A thing of the drive.

    Attributes:
        thing: What it is and where it stands when the drive begins; z from the camera's first place.
        seed: Decides what it looks like.
        identity: Of an unknown object, from 1; 0 for what belongs to the street.
        across: Its speed to the right, metres per second.
        along: Its speed ahead.
    """

    thing: Thing
    seed: int
    identity: int = 0
    across: float = 0.0
    along: float = 0.0

    def seen(self, time: float, travelled: float) -> Thing:
        """Places the thing at a time, as far away as it is from a camera that has travelled so far."""
        x = self.thing.x + self.across * time
        return replace(self.thing, x=x, z=self.thing.z + self.along * time - travelled)


@dataclass(frozen=True)
class House:
    """A stretch of wall along the road, z from the camera's first place."""

    side: int
    near: float
    far: float
    seed: int


def plan_houses(rng: np.random.Generator, length: float) -> list[House]:
    """Plans short houses on both sides, with gaps."""
    houses = []
    for side in (-1, 1):
        near = rng.uniform(0, 8)
        while near < length + FAR_AHEAD:
            far = near + rng.uniform(5, 9)
            if rng.random() < 0.85:
                houses.append(House(side, near, far, _seed(rng)))
            near = far
    return houses


def plan_street(rng: np.random.Generator, place: Place, length: float) -> list[Mover]:
    """Plans trees, poles, parked and oncoming vehicles, and people."""
    movers = []
    end = length + FAR_AHEAD
    city = place.domain == "city"
    beside = place.pavement + (0.8 if city else 2.0)
    for side in (-1.0, 1.0):
        edge = place.right if side > 0 else -place.left
        for z in _along(rng, end, 12):
            kind = "tree" if rng.random() < 0.7 else "bush"
            tall = rng.uniform(3, 9) if kind == "tree" else rng.uniform(0.6, 2)
            away = edge + beside + (rng.uniform(0, 1) if city else rng.exponential(5))
            movers.append(Mover(Thing(kind, side * away, z, tall), _seed(rng)))
        for z in _along(rng, end, 30):
            movers.append(Mover(Thing("pole", side * (edge + rng.uniform(0.3, 1.2)), z, 3.0), _seed(rng)))
        for z in _along(rng, end, 25):
            x, pace = side * (edge + rng.uniform(0.5, 2.5)), float(rng.choice([-1.2, 0.0, 1.2]))
            movers.append(Mover(Thing("person", x, z, rng.uniform(1.5, 1.85)), _seed(rng), along=pace))
        for z in _along(rng, end, 22) if city else ():
            name = str(rng.choice(["sedan", "hatch", "van"]))
            movers.append(Mover(Thing("vehicle", side * (edge + 0.2), z, SHAPES[name][3], name), _seed(rng)))
    for z in _along(rng, 3 * end, 90):
        name = str(rng.choice(["sedan", "hatch", "van", "bus", "lorry"]))
        # They come on the left, at the same speed, and are past before the drive ends.
        thing = Thing("vehicle", place.left + 1.4, z, SHAPES[name][3], name)
        movers.append(Mover(thing, _seed(rng), along=-rng.uniform(6, 10)))
    return movers


def plan_strangers(rng: np.random.Generator, place: Place, length: float, count: int) -> list[Mover]:
    """Plans unknown objects beside the way of the camera, evenly spread; some animals walk."""
    movers = []
    names = rng.permutation(sorted(KINDS))
    for number in range(count):
        name = str(names[number % len(names)])
        tall = rng.uniform(*KINDS[name][1:])
        room = 1.2 + tall * SPREAD.get(name, 0.9) / 2  # the camera passes by
        side = float(rng.choice([-1, 1]))
        edge = place.right if side > 0 else -place.left
        x = side * rng.uniform(room, max(room, edge) + 2.5)
        z = 20 + (length + 20) * (number + rng.uniform(0.2, 0.8)) / count
        walks = name in _ANIMALS and rng.random() < 0.6
        across, along = (side * rng.uniform(0.1, 0.5), rng.uniform(-1, 1)) if walks else (0.0, 0.0)
        movers.append(Mover(Thing("unknown", x, z, tall, name), _seed(rng), number + 1, across, along))
    return movers


def _along(rng: np.random.Generator, end: float, gap: float) -> list[float]:
    """Places along the road, about `gap` metres apart."""
    return list(np.cumsum(rng.uniform(0.3 * gap, 1.7 * gap, int(end / gap) + 1)))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))
