"""Supervisely: a project folder, in which every folder of images is a data set; masks as PNG in their box.

meta.json                          classes and tags
ds0/img/NAME, ds0/ann/NAME.json    images that lie in no folder
FOLDER/img/…, FOLDER/ann/…         those of a folder; of folders within: FOLDER/datasets/FOLDER/…
"""

from __future__ import annotations

import io
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import CATEGORY
from oodseg.core.files import write_json
from oodseg.core.objects import OodObject
from oodseg.exchange.format import Format, any_case, load_json, reading, visible
from oodseg.exchange.images import find_image
from oodseg.exchange.labels import IGNORED, LabelledImage
from oodseg.exchange.shapes import cut_out, fill_box, fill_polygon, put_back, warn_left_out

META_FILE = "meta.json"
_TOP, _WITHIN = "ds0", "datasets"
_CONFIDENCE = "confidence"
_META = {
    "classes": [
        {"title": CATEGORY, "shape": "bitmap", "color": "#DC143C", "geometry_config": {}},
        {"title": IGNORED, "shape": "bitmap", "color": "#808080", "geometry_config": {}},
    ],
    "tags": [{"name": _CONFIDENCE, "value_type": "any_number", "color": "#0072B2"}],
    "projectType": "images",
}


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one file per image; nothing is lost."""
    write_json(out / META_FILE, _META, indent=1)
    for image in images:
        path = PurePosixPath(place(image.name))
        document = {
            "description": "",
            "tags": [],
            "size": {"height": image.height, "width": image.width},
            "objects": [_figure(label, each) for label, each in image.labelled()],
        }
        write_json(out / path.parent.parent / "ann" / f"{path.name}.json", document)
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads every data set of a project.

    Raises:
        DatasetError: A file is damaged.
    """
    found = []
    for file in sorted(_files(root)):
        with reading(file, "annotations of Supervisely"):
            found.append(_image(load_json(file), file, root))
    return found


def _files(root: Path) -> Iterator[Path]:
    return visible(root.rglob(any_case("ann/*.json")))


def matches(root: Path) -> bool:
    """Tells whether a folder holds a project."""
    return (root / META_FILE).is_file() and next(root.rglob("ann"), None) is not None


def place(name: str) -> str:
    """Returns the path of an image within the project."""
    path = PurePosixPath(name)
    return f"{f'/{_WITHIN}/'.join(path.parent.parts) or _TOP}/img/{path.name}"


def _figure(label: str, found: OodObject) -> dict[str, Any]:
    left, top, cut = cut_out(found)
    tag = {"name": _CONFIDENCE, "value": round(found.confidence, 6)}
    bitmap = {"data": encode(cut), "origin": [left, top]}
    return {"classTitle": label, "geometryType": "bitmap", "tags": [tag], "bitmap": bitmap}


def encode(cut: NDArray[np.bool_]) -> str:
    """Encodes a mask, bool `[h, w]`, as a PNG with a palette of two, the first of them transparent."""
    from PIL import Image

    image = Image.fromarray(cut.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    data = io.BytesIO()
    image.save(data, "PNG", transparency=0)
    return b64encode(zlib.compress(data.getvalue())).decode("ascii")


def decode(text: str) -> NDArray[np.bool_]:
    """Decodes what `encode`, or Supervisely, wrote: what is not transparent, or not black.

    Raises:
        ValueError: It is no such mask.
    """
    from PIL import Image

    try:
        data = zlib.decompress(b64decode(text))
    except zlib.error as error:
        raise ValueError(f"a mask is damaged: {error}") from error
    with Image.open(io.BytesIO(data)) as image:
        channel = image.convert("RGBA").getchannel("A") if image.has_transparency_data else image.convert("L")
        return np.asarray(channel) > 0


def _image(document: dict[str, Any], file: Path, root: Path) -> LabelledImage:
    height, width = int(document["size"]["height"]), int(document["size"]["width"])
    folder = file.parent.parent
    below = [part for part in folder.relative_to(root).parts if part != _WITHIN]
    name = "/".join([*(below if below != [_TOP] else ()), file.name.removesuffix(".json")])
    labelled = list(_outlines(document["objects"], height, width, name))
    path = find_image(folder / "img", PurePosixPath(name).name, "")
    return LabelledImage.from_labelled(name, height, width, labelled, path)


def _outlines(
    figures: list[dict[str, Any]], height: int, width: int, name: str
) -> Iterator[tuple[str, OodObject]]:
    for figure in figures:
        mask = _fill(figure, height, width)
        if mask is not None and mask.any():
            given = [tag["value"] for tag in figure.get("tags", ()) if tag["name"] == _CONFIDENCE]
            yield figure["classTitle"], OodObject.from_mask(mask, float(given[0]) if given else 1.0)
        else:
            warn_left_out(name, figure["classTitle"], figure["geometryType"])


def _fill(figure: dict[str, Any], height: int, width: int) -> NDArray[np.bool_] | None:
    """The pixels of a figure, bool `[H, W]`; None for what has no inside."""
    kind = figure["geometryType"]
    if kind == "bitmap":
        left, top = figure["bitmap"]["origin"]
        return put_back(decode(figure["bitmap"]["data"]), left, top, height, width)
    if kind == "polygon":
        mask = fill_polygon(figure["points"]["exterior"], height, width)
        for hole in figure["points"].get("interior", ()):
            mask &= ~fill_polygon(hole, height, width)
        return mask
    if kind == "rectangle":
        (left, top), (right, bottom) = figure["points"]["exterior"]
        return fill_box(left, top, right + 1, bottom + 1, height, width)  # the last pixel belongs to it
    return None


FORMAT = Format(
    "Supervisely", "meta.json, ds0/ann/NAME.json, ds0/img/NAME", write, read, matches, place, files=_files
)
