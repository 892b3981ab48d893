"""YOLO segmentation: a text file per image, a polygon per line, in shares of width and height.

    images/NAME
    labels/STEM.txt    CLASS X1 Y1 X2 Y2 X3 Y3 …
    data.yaml          names of the classes

A polygon has one outline: holes are filled, and every part of an object becomes an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import CATEGORY
from oodseg.core.files import write_bytes
from oodseg.core.objects import OodObject
from oodseg.core.texts import read_text
from oodseg.exchange.format import Format, any_case, reading, visible
from oodseg.exchange.images import find_image, size_of
from oodseg.exchange.labels import IGNORED, LabelledImage

FILE = "data.yaml"
_NAMES = (CATEGORY, IGNORED)
# Where in its pixel a corner lies: tools that round find the same pixel as tools that cut off.
_INSIDE = 0.25
_CLASSES = "classes.txt"  # LabelImg puts it beside the labels
_LARGEST_SHARE = 2  # outlines may leave the image; what lies further out is in pixels


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one file per image, with the outer outline of every part of an object."""
    filled = holed = split = parts = 0
    for image in images:
        lines = []
        for label, each in image.labelled():
            polygons = outlines(each.mask)
            lines += [_line(_NAMES.index(label), polygon, image) for polygon in polygons]
            lost = int(fill(polygons, image.height, image.width).sum()) - each.area
            filled, holed = filled + lost, holed + bool(lost)
            split, parts = split + (len(polygons) > 1), parts + (len(polygons) > 1) * len(polygons)
        write_bytes(out / "labels" / f"{image.stem}.txt", "".join(lines).encode())
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(_NAMES))
    write_bytes(out / FILE, f"path: .\ntrain: images\nval: images\nnames:\n{names}".encode())
    notes = []
    if holed:
        notes.append(f"polygons have no holes: {filled} pixels in holes of {holed} objects are filled")
    if split:
        notes.append(f"polygons have one part: {split} objects in several parts became {parts}")
    return notes


def read(root: Path) -> list[LabelledImage]:
    """Reads the labels of all images; boxes without a polygon are filled.

    Raises:
        DatasetError: A file is damaged.
        ImageError: An image cannot be read.
    """
    with reading(root / FILE, "classes of YOLO"):
        names = _read_names(root / FILE)
    found = []
    for file in sorted(_files(root)):
        stem = file.relative_to(root / "labels").with_suffix("").as_posix()
        with reading(file, "polygons of YOLO"):
            path = find_image(root, f"{stem}.jpg")
            if path is None:
                raise ValueError(f"there is no image {stem} in images/ to say how large it is")
            height, width = size_of(path)
            labelled = list(_objects(file, names, height, width))
        found.append(LabelledImage.from_labelled(f"{stem}{path.suffix}", height, width, labelled, path))
    return found


def _files(root: Path) -> Iterator[Path]:
    found = visible((root / "labels").rglob(any_case("*.txt")))
    return (file for file in found if file.name.lower() != _CLASSES)


def matches(root: Path) -> bool:
    """Tells whether there are classes and labels."""
    return (root / FILE).is_file() and (root / "labels").is_dir()


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    """Finds the outer outline of every part of a mask, bool `[H, W]`.

    Returns:
        Int32 `[N, 2]` each, x and y of the pixels on the rim; at least three of them, repeated if need be.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rims = (np.asarray(each, np.int32).reshape(-1, 2) for each in found)
    return [np.concatenate([rim, np.repeat(rim[-1:], max(0, 3 - len(rim)), 0)]) for rim in rims]


def fill(polygons: list[NDArray[np.int32]], height: int, width: int) -> NDArray[np.bool_]:
    """Fills polygons of rim pixels, as `outlines` finds them, bool `[H, W]`."""
    canvas = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [polygon], 1)
    return canvas > 0


def _line(number: int, polygon: NDArray[np.int32], image: LabelledImage) -> str:
    shares = (polygon + _INSIDE) / (image.width, image.height)
    return f"{number} {' '.join(f'{share:.7f}' for share in shares.ravel())}\n"


def _read_names(path: Path) -> dict[int, str]:
    import yaml

    try:
        # All values as texts: to YAML, the names `no` and `on` would be truth values.
        given: Any = yaml.load(read_text(path), yaml.BaseLoader)["names"]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(given, dict | list):
        raise TypeError(f"names: {given}")
    pairs = given.items() if isinstance(given, dict) else enumerate(given)
    return {int(number): str(name) for number, name in pairs}


def _objects(file: Path, names: dict[int, str], height: int, width: int) -> Iterator[tuple[str, OodObject]]:
    for line in read_text(file).splitlines():
        if not line.strip():
            continue
        number, *values = line.split()
        shares = np.array(values, np.float64)
        if len(shares) < 4 or not (np.abs(shares) <= _LARGEST_SHARE).all():
            raise ValueError(f"'{line[:40]}' is no class with shares of width and height in 0..1")
        if len(shares) in {4, 5}:  # a box: its centre and sides, and perhaps a confidence
            (x, y), (columns, rows) = shares[:2], shares[2:4] / 2
            shares = np.array(
                [x - columns, y - rows, x + columns, y - rows, x + columns, y + rows, x - columns, y + rows]
            )
        shares = shares[: len(shares) // 2 * 2]  # a polygon may end in a confidence
        corners = np.floor(shares.reshape(-1, 2) * (width, height)).astype(np.int32)
        mask = fill([corners.clip(0, (width - 1, height - 1)).astype(np.int32)], height, width)
        code = int(float(number))
        if code not in names:
            raise ValueError(f"the class {code} has no name in {FILE}")
        yield names[code], OodObject.from_mask(mask)


FORMAT = Format(
    "YOLO segmentation", "data.yaml, labels/STEM.txt, images/", write, read, matches, files=_files
)
