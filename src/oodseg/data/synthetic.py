"""`synthetic-1`: streets drawn by the project itself, a benchmark that needs no download.

120 scenes of 640x360 pixels: four domains times five kinds of weather, six scenes each, with 0, 1, 1, 2, 3
and 4 unknown objects of 40 to 15,000 pixels. Scene k is decided by the version and k alone.

What a version means is kept beside this file, `synthetic-1.json`: number and centre of the unknown pixels
and the mean colour of every scene. Releases of OpenCV draw a few pixels of an outline differently, which no
figure feels; where scenes differ by more, because the drawing code was changed, the set says so and goes by
another version, since its figures cannot be compared.

Folder::

    synthetic.json   images/000_city_noon.png   labels/000_city_noon.png (0, 1 = unknown object)
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from oodseg.core.errors import DatasetError, cause
from oodseg.core.fingerprint import hash_json
from oodseg.data.frames import BINARY, BenchmarkSet, Frame

NAME, VERSION = "synthetic", "synthetic-1"
# Largest differences between two drawings of one scene: share of the unknown pixels (and pixels besides),
# pixels of their centre, and colour steps of 255.
SAME_AREA, SAME_PIXELS, SAME_CENTRE, SAME_COLOUR = 0.05, 30, 1.5, 0.5
HEAD_FILE = "synthetic.json"


def matches(root: Path) -> bool:
    """Tells whether the folder holds drawn scenes."""
    return (root / HEAD_FILE).is_file()


def read(root: Path, split: str) -> BenchmarkSet:
    """Lists the scenes of a folder and says which version they are.

    Raises:
        DatasetError: Not what `draw_benchmark` wrote, or of a version that this oodseg does not draw.
    """
    try:
        head = json.loads((root / HEAD_FILE).read_text(encoding="utf-8"))
        version = str(head["version"])
        frames = tuple(_frame(root, scene) for scene in head["frames"])
        other = [] if version != VERSION else differences(head["frames"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{root / HEAD_FILE} is not a list of drawn scenes ({cause(error)}): draw the set again"
        ) from error
    if version != VERSION:
        raise DatasetError(f"{root} is {version}, this oodseg draws {VERSION}: draw the set again")
    notes: tuple[str, ...] = ()
    if other:
        version = f"{VERSION}+{hash_json(head['frames'])[:8]}"
        notes = (
            f"{len(other)} of these scenes are not those of {VERSION} ({other[0]} is the first): the set "
            f"goes by {version}, and its figures cannot be compared with those of {VERSION}",
        )
    licence = "drawn by oodseg: as oodseg itself"
    return BenchmarkSet(NAME, "Drawn streets", version, root, frames, licence, "obstacle", notes=notes)


def differences(scenes: list[dict[str, Any]]) -> list[str]:
    """Names of scenes that are not those of the version.

    Args:
        scenes: As `synthetic.json` lists them.
    """
    text = files("oodseg.data").joinpath(f"{VERSION}.json").read_text(encoding="utf-8")
    known = {scene["name"]: scene for scene in json.loads(text)["frames"]}
    found = {scene["name"]: scene for scene in scenes}
    return [name for name in known | found if not _same(known.get(name), found.get(name))]


def _same(a: dict[str, Any] | None, b: dict[str, Any] | None) -> bool:
    if a is None or b is None or a["objects"] != b["objects"]:
        return False
    return (
        abs(a["pixels"] - b["pixels"]) <= SAME_PIXELS + SAME_AREA * a["pixels"]
        and np.allclose(a["centre"], b["centre"], rtol=0, atol=SAME_CENTRE)
        and np.allclose(a["colour"], b["colour"], rtol=0, atol=SAME_COLOUR)
    )


def _frame(root: Path, scene: dict[str, Any]) -> Frame:
    name = str(scene["name"])
    groups = {key: str(scene[key]) for key in ("domain", "weather", "objects")}
    image, label = (root / kind / f"{name}.png" for kind in ("images", "labels"))
    if not image.is_file():
        raise DatasetError(f"the image {image} is missing: draw the set again")
    return Frame(name, image, label, BINARY, groups)
