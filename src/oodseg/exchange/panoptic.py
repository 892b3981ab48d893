"""COCO panoptic (Kirillov et al., CVPR 2019, arXiv 1801.00868): one JSON file, and a PNG of ids per image.

    images/NAME
    annotations/panoptic_default.json
    annotations/panoptic_default/STEM.png    RGB: the segment's id is R + 256 G + 65536 B; 0 is no segment

A pixel belongs to one segment only. Read are things (and what does not say whether it is one), not stuff.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import CATEGORY, CATEGORY_ID, coco_image
from oodseg.core.encoding import encode_png
from oodseg.core.files import write_bytes, write_json
from oodseg.core.objects import OodObject
from oodseg.core.version import __version__
from oodseg.exchange.format import Format, any_case, load_json, peek_json, reading, visible
from oodseg.exchange.images import find_image, name_in_labels
from oodseg.exchange.labels import IGNORED, LabelledImage
from oodseg.io.images import load_image

FILE = "annotations/panoptic_default.json"
_CATEGORIES = (
    {"id": CATEGORY_ID, "name": CATEGORY, "supercategory": CATEGORY, "isthing": 1, "color": [220, 20, 60]},
    {
        "id": CATEGORY_ID + 1,
        "name": IGNORED,
        "supercategory": IGNORED,
        "isthing": 0,
        "color": [128, 128, 128],
    },
)
_IDS = {CATEGORY: CATEGORY_ID, IGNORED: CATEGORY_ID + 1}


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes the segments; where objects overlap, the most confident one has the pixels."""
    folder = (out / FILE).with_suffix("")
    document: dict[str, Any] = {"info": {"description": "unknown objects", "version": __version__}}
    document |= {"images": [], "annotations": [], "categories": list(_CATEGORIES)}
    hidden = 0
    for number, image in enumerate(images, start=1):
        segments, info = _draw(image)
        hidden += sum(each.area for _, each in image.labelled()) - int(np.count_nonzero(segments))
        channels = np.stack([segments >> shift & 255 for shift in (0, 8, 16)], 2).astype(np.uint8)
        write_bytes(folder / f"{image.stem}.png", encode_png(channels))
        document["images"].append(coco_image(number, image.name, image.height, image.width))
        document["annotations"].append(
            {"image_id": number, "file_name": f"{image.stem}.png", "segments_info": info}
        )
    write_json(out / FILE, document)
    if not hidden:
        return []
    return [f"objects overlap in {hidden} pixels, which belong to the most confident one alone now"]


def read(root: Path) -> list[LabelledImage]:
    """Reads every file of segments below a folder.

    Raises:
        DatasetError: A file is damaged, or an image of segments is missing.
    """
    found: list[LabelledImage] = []
    for file in _files(root):
        with reading(file, "COCO panoptic segments"):
            found += _images(load_json(file), file.with_suffix(""), root)
    return found


def matches(root: Path) -> bool:
    """Tells whether there is such a file."""
    return next(_files(root), None) is not None


def _draw(image: LabelledImage) -> tuple[NDArray[np.int64], list[dict[str, Any]]]:
    """The ids, int64 `[H, W]`, and what is known of those that can be seen."""
    segments = np.zeros((image.height, image.width), np.int64)
    # From the back: what does not count, then the least confident object.
    layers = sorted(image.labelled(), key=lambda pair: (pair[0] != IGNORED, pair[1].confidence))
    for number, (_, each) in enumerate(layers, start=1):
        segments[each.mask] = number
    info = []
    for number, (label, each) in enumerate(layers, start=1):
        mask = segments == number
        if mask.any():
            seen = OodObject.from_mask(mask)
            info.append(
                {
                    "id": number,
                    "category_id": _IDS[label],
                    "area": seen.area,
                    "bbox": list(seen.bbox),
                    "iscrowd": 0,
                    "score": round(each.confidence, 6),
                }
            )
    return segments, info


def _files(root: Path) -> Iterator[Path]:
    for file in sorted(visible([*root.glob(any_case("annotations/*.json")), *root.glob(any_case("*.json"))])):
        document = peek_json(file)
        if isinstance(document, dict) and isinstance(document.get("annotations"), list):
            first: dict[str, Any] = next(iter(document["annotations"]), {})
            # Without an image there is no telling it from instances but by the name.
            if "segments_info" in first or (not first and file.name.startswith("panoptic")):
                yield file


def _images(document: dict[str, Any], folder: Path, root: Path) -> Iterator[LabelledImage]:
    categories = {each["id"]: each for each in document["categories"]}
    images = {image["id"]: image for image in document["images"]}
    for annotation in document["annotations"]:
        image = images[annotation["image_id"]]
        segments = _read_ids(folder / annotation["file_name"])
        labelled = []
        for each in annotation["segments_info"]:
            category, mask = categories[each["category_id"]], segments == each["id"]
            label = str(category["name"])
            if mask.any() and (category.get("isthing", 1) or label.lower() == IGNORED):
                labelled.append((label, OodObject.from_mask(mask, float(each.get("score", 1.0)))))
        height, width = segments.shape
        name = name_in_labels(str(image["file_name"]))
        yield LabelledImage.from_labelled(name, height, width, labelled, find_image(root, name))


def _read_ids(path: Path) -> NDArray[np.int64]:
    channels = np.asarray(load_image(path).convert("RGB")).astype(np.int64)
    return np.asarray(channels @ np.array([1, 256, 65536]), np.int64)


FORMAT = Format(
    "COCO panoptic", "annotations/panoptic_*.json, annotations/panoptic_*/STEM.png", write, read, matches
)
