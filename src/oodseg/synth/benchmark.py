"""Draws the scenes of `synthetic-1`, which `oodseg.data.synthetic` describes and reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import encode_png
from oodseg.core.files import write_bytes, write_json
from oodseg.core.progress import Progress
from oodseg.data.frames import ANOMALY
from oodseg.data.synthetic import HEAD_FILE, VERSION
from oodseg.synth.drawn import DOMAINS, draw_scene
from oodseg.synth.drawn_weather import WEATHERS

SIZE = (360, 640)
COUNTS = (0, 1, 1, 2, 3, 4)


def plan() -> list[dict[str, Any]]:
    """Lists the scenes: `name`, `domain`, `weather` and number of unknown `objects`."""
    kinds = [(domain, weather, n) for domain in DOMAINS for weather in WEATHERS for n in COUNTS]
    return [
        {"name": f"{k:03d}_{domain}_{weather}", "domain": domain, "weather": weather, "objects": n}
        for k, (domain, weather, n) in enumerate(kinds)
    ]


def draw(number: int, scene: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws one scene.

    Args:
        number: Its place in `plan()`.
        scene: What `plan()` says of it.

    Returns:
        Image uint8 `[360, 640, 3]`, RGB, and label uint8 `[360, 640]`: 0, or 1 on unknown objects.
    """
    seed = int.from_bytes(hashlib.sha256(VERSION.encode()).digest()[:8], "big")
    rng = np.random.default_rng((seed, number))
    drawn = draw_scene(rng, SIZE, scene["objects"], scene["domain"], scene["weather"])
    return drawn.image, (drawn.unknown > 0).astype(np.uint8) * np.uint8(ANOMALY)


def draw_benchmark(folder: Path, progress: Progress | None = None) -> Path:
    """Draws all scenes into a folder, in some 20 seconds.

    Args:
        folder: Made if missing; scenes in it are drawn anew.
        progress: Told after every scene.

    Returns:
        The folder, for `open_dataset`.

    Raises:
        OodsegError: The folder cannot be written.
    """
    (folder / HEAD_FILE).unlink(missing_ok=True)  # a folder half drawn is no set
    scenes = plan()
    for number, scene in enumerate(scenes):
        image, label = draw(number, scene)
        write_bytes(folder / "images" / f"{scene['name']}.png", encode_png(image))
        write_bytes(folder / "labels" / f"{scene['name']}.png", encode_png(label))
        scene.update(describe(image, label))
        if progress:
            progress(f"drawing {VERSION}", number + 1, len(scenes))
    write_json(folder / HEAD_FILE, {"version": VERSION, "frames": scenes})
    return folder


def describe(image: NDArray[np.uint8], label: NDArray[np.uint8]) -> dict[str, Any]:
    """Fingerprints a drawing: `pixels` and `centre` (x, y) of the unknown, mean `colour`."""
    y, x = np.nonzero(label == ANOMALY)
    centre = [round(float(each.mean()), 1) for each in (x, y)] if len(x) else [0.0, 0.0]
    colour = [round(float(each), 1) for each in image.mean((0, 1))]
    return {"pixels": len(x), "centre": centre, "colour": colour}
