"""OoDIS (Nekrasov et al., ICRA 2025, arXiv 2406.11835): masks of instances for the server of the benchmark.

    STEM_instanceIds_pred.txt     `PNG 1 CONFIDENCE`, one line per object
    STEM_instanceIds_0_1.png      255 on the object

One folder per set: `fishyscapes`, `roadanomaly` and `roadobstacle`, together in a zip file. The server wants
at least one mask per image: where nothing was found there is an empty one, which it passes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import encode_png
from oodseg.core.files import write_bytes
from oodseg.core.objects import OodObject
from oodseg.core.texts import read_text
from oodseg.exchange.format import Format, reading, visible
from oodseg.exchange.labels import LabelledImage
from oodseg.io.masks import read_brightness

_LIST, _CLASS = "_instanceIds_pred.txt", 1
# Frames of LostAndFound go by the name of their label.
_CAMERA, _LABEL = "_leftImg8bit", "_gtCoarse"


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes a list and masks per image; what is labelled `ignore` has no place in them."""
    for image in images:
        stem = image.stem
        scene = Path(f"{stem.removesuffix(_CAMERA)}{_LABEL}" if stem.endswith(_CAMERA) else stem)
        masks = [(each.mask, each.confidence) for each in image.objects]
        if not masks:
            masks = [(np.zeros((image.height, image.width), bool), 0.0)]
        lines = []
        for number, (mask, confidence) in enumerate(masks):
            file = scene.with_name(f"{scene.name}_instanceIds_{number}_{_CLASS}.png")
            write_bytes(out / file, encode_png(mask.astype(np.uint8) * np.uint8(255)))
            lines.append(f"{file.name} {_CLASS} {confidence:.6f}\n")
        write_bytes(out / scene.with_name(f"{scene.name}{_LIST}"), "".join(lines).encode())
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads every list below a folder.

    Raises:
        DatasetError: A file is damaged or missing.
    """
    found = []
    for file in sorted(_files(root)):
        with reading(file, "list of masks for OoDIS"):
            masks = list(_masks(file))
            height, width = masks[0][0].shape
            objects = [OodObject.from_mask(mask, value) for mask, value in masks if mask.any()]
            name = file.relative_to(root).as_posix().removesuffix(_LIST)
            found.append(LabelledImage(name, height, width, tuple(objects)))
    return found


def _files(root: Path) -> Iterator[Path]:
    return visible(root.rglob(f"*{_LIST}"))


def matches(root: Path) -> bool:
    """Tells whether there is such a list."""
    return next(visible(root.rglob(f"*{_LIST}")), None) is not None


def _masks(file: Path) -> Iterator[tuple[NDArray[np.bool_], float]]:
    for line in read_text(file).splitlines():
        name, _, confidence = line.rsplit(" ", 2)
        yield read_brightness(file.with_name(name)) > 0, float(confidence)


FORMAT = Format(
    "OoDIS",
    "STEM_instanceIds_pred.txt, STEM_instanceIds_N_1.png",
    write,
    read,
    matches,
    None,
    submission=True,
    files=_files,
)
