"""LabelMe (from 5.2): a JSON file beside every image; masks as PNG in their box.

    NAME
    STEM.json

Polygons, rectangles and circles that people drew are filled; lines and points are left out.
"""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import encode_png
from oodseg.core.files import write_json
from oodseg.core.objects import OodObject
from oodseg.exchange.format import Format, any_case, load_json, peek_json, reading, visible
from oodseg.exchange.images import find_image, size_of
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.shapes import cut_out, fill_box, fill_ellipse, fill_polygon, put_back, warn_left_out

VERSION = "5.5.0"
_KEYS = {"shapes", "imagePath"}
_LOOKED_AT = 10


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one file per image; nothing is lost."""
    for image in images:
        document: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": [_shape(label, each) for label, each in image.labelled()],
            "imagePath": PurePosixPath(image.name).name,
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        write_json(out / f"{image.stem}.json", document, indent=1)
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads every file below a folder; images without one are not labelled.

    Raises:
        DatasetError: A file is damaged.
    """
    found = []
    for file in sorted(_json_files(root)):
        with reading(file, "labels of LabelMe"):
            document = load_json(file)
            if isinstance(document, dict) and document.keys() >= _KEYS:
                found.append(_image(document, file, root))
    return found


def matches(root: Path) -> bool:
    """Tells whether one of the first few JSON files below a folder is one of LabelMe."""
    return any(map(_is_label, islice(_json_files(root), _LOOKED_AT)))


def _json_files(root: Path) -> Iterator[Path]:
    return visible(root.rglob(any_case("*.json")))


def _is_label(file: Path) -> bool:
    document = peek_json(file)
    return isinstance(document, dict) and document.keys() >= _KEYS


def _files(root: Path) -> Iterator[Path]:
    return filter(_is_label, _json_files(root))


def _shape(label: str, found: OodObject) -> dict[str, Any]:
    left, top, cut = cut_out(found)
    height, width = cut.shape
    return {
        "label": label,
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        "mask": b64encode(encode_png(cut.astype(np.uint8))).decode("ascii"),
        "confidence": round(found.confidence, 6),
    }


def _image(document: dict[str, Any], file: Path, root: Path) -> LabelledImage:
    # Written on Windows, the path has backslashes.
    name = PurePosixPath(str(document["imagePath"]).replace("\\", "/")).name
    below = (file.relative_to(root).parent / name).as_posix()
    path = find_image(root, below, "")
    height, width = document.get("imageHeight"), document.get("imageWidth")
    if not height or not width:
        if path is None:
            raise ValueError(f"nothing says how large {name} is: put the image beside it")
        height, width = size_of(path)
    labelled = list(_outlines(document["shapes"], int(height), int(width), below))
    return LabelledImage.from_labelled(below, int(height), int(width), labelled, path)


def _outlines(
    shapes: list[dict[str, Any]], height: int, width: int, name: str
) -> Iterator[tuple[str, OodObject]]:
    for shape in shapes:
        mask = _fill(shape, height, width)
        if mask is not None and mask.any():
            yield str(shape["label"]), OodObject.from_mask(mask, float(shape.get("confidence", 1.0)))
        else:
            warn_left_out(name, str(shape["label"]), str(shape.get("shape_type", "polygon")))


def _fill(shape: dict[str, Any], height: int, width: int) -> NDArray[np.bool_] | None:
    """The pixels of a shape, bool `[H, W]`; None for what has no inside."""
    from PIL import Image

    kind, points = shape.get("shape_type", "polygon"), np.asarray(shape["points"], np.float64)
    if kind == "mask":
        with Image.open(io.BytesIO(b64decode(shape["mask"]))) as image:
            cut = np.asarray(image.convert("L")) > 0
        left, top = np.rint(points[0]).astype(int)
        return put_back(cut, int(left), int(top), height, width)
    if kind in {"polygon", "rotation", "oriented_rectangle"}:  # the last two by their corners
        return fill_polygon(points, height, width)
    if kind == "rectangle":
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return fill_box(left, top, right, bottom, height, width)
    if kind == "circle":  # its centre, and a point on the rim
        radius = float(np.hypot(*(points[1] - points[0])))
        return fill_ellipse(points[0].tolist(), [radius, radius], height, width)
    return None


def _beside(name: str) -> str:
    return name


FORMAT = Format("LabelMe", "NAME and STEM.json beside it", write, read, matches, place=_beside, files=_files)
