"""Drawn street scenes to try the service with, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from oodseg.core.encoding import encode_jpeg
from oodseg.synth.demo import HEIGHT, WIDTH
from oodseg.synth.drawn import draw_scene

_QUALITY = 92


@dataclass(frozen=True)
class Example:
    """A drawn scene.

    Attributes:
        title: For people.
        seed: Decides everything that the others leave open.
        objects: Unknown objects in it.
        domain: A key of `oodseg.synth.drawn.DOMAINS`.
        weather: A key of `oodseg.synth.drawn_weather.WEATHERS`.
    """

    title: str
    seed: int
    objects: int
    domain: str
    weather: str


EXAMPLES: Mapping[str, Example] = {
    "city": Example("A city street at noon, three unknown objects", 41, 3, "city", "noon"),
    "country": Example("A country road, two unknown objects", 5, 2, "country", "overcast"),
    "highway": Example("A motorway at dusk, one unknown object", 7, 1, "highway", "dusk"),
    "dusty": Example("A dusty road, four unknown objects", 11, 4, "dusty", "noon"),
    "ordinary": Example("A city street, nothing unknown", 13, 0, "city", "overcast"),
}


@lru_cache(maxsize=len(EXAMPLES))
def draw_example(name: str) -> bytes:
    """Draws an example, JPEG of 1280x720.

    Raises:
        KeyError: There is none of that name.
    """
    chosen = EXAMPLES[name]
    rng = np.random.default_rng(chosen.seed)
    scene = draw_scene(rng, (HEIGHT, WIDTH), chosen.objects, chosen.domain, chosen.weather)
    return encode_jpeg(scene.image, _QUALITY)
