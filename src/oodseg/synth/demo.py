"""The scenes of `oodseg demo`: drawn streets with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import encode_jpeg
from oodseg.core.files import write_bytes
from oodseg.synth.drawn import draw_scene

WIDTH, HEIGHT = 1280, 720
# Unknown objects per scene, over and over; the second scene holds none.
_COUNTS = (2, 0, 3, 1, 4, 1)


def draw_scenes(folder: Path, count: int, seed: int) -> dict[Path, NDArray[np.uint8]]:
    """Draws scenes and writes them as JPEG.

    Args:
        folder: Where they go.
        count: How many; the second holds nothing unknown.
        seed: Scene k is decided by seed and k alone.

    Returns:
        Path to truth: uint8 `[720, 1280]`, 0 nothing unknown, 1..N the N unknown objects.

    Raises:
        OodsegError: A file cannot be written.
    """
    truths = {}
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        scene = draw_scene(rng, (HEIGHT, WIDTH), _COUNTS[number % len(_COUNTS)])
        path = folder / f"scene_{number + 1:02d}.jpg"
        write_bytes(path, encode_jpeg(scene.image, 95))
        truths[path] = scene.unknown
    return truths
