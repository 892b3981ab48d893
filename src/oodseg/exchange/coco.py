"""COCO instances (Lin et al., ECCV 2014, arXiv 1405.0312): one JSON file, masks as run lengths.

    images/NAME                            the images
    annotations/instances_default.json     `images`, `annotations`, `categories`

Read are also the files that CVAT, Label Studio and Roboflow export, polygons and boxes included. A category
called `ignore` does not count; every other one is something unknown. `iscrowd` says nothing: some tools set
it for every mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from oodseg.core.coco import CATEGORY_ID, coco_annotations, coco_document
from oodseg.core.errors import DatasetError
from oodseg.core.files import write_json
from oodseg.core.objects import OodObject
from oodseg.core.saving import COCO_FILE
from oodseg.core.version import __version__
from oodseg.exchange.format import Format, any_case, load_json, peek_json, reading, visible
from oodseg.exchange.images import find_image, name_in_labels
from oodseg.exchange.labels import IGNORED, LabelledImage
from oodseg.exchange.shapes import warn_left_out

FILE = "annotations/instances_default.json"
IGNORED_ID = CATEGORY_ID + 1


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one file for all images; nothing is lost."""
    document = coco_document(
        (
            (number, image.name, image.height, image.width, _annotations(image, number))
            for number, image in enumerate(images, start=1)
        ),
        {"description": "unknown objects", "version": __version__},
    )
    document["categories"].append({"id": IGNORED_ID, "name": IGNORED})
    write_json(out / FILE, document)
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads every file of instances below a folder.

    Raises:
        DatasetError: A file is damaged, or an image is in two of them.
    """
    found: dict[str, LabelledImage] = {}
    for file in _files(root):
        with reading(file, "COCO instances"):
            for image in _images(load_json(file), root):
                if image.name in found:
                    raise DatasetError(
                        f"{image.name} is in {file} and in another file beside it: keep one of them"
                    )
                found[image.name] = image
    return list(found.values())


def matches(root: Path) -> bool:
    """Tells whether there is such a file."""
    return next(_files(root), None) is not None


def _annotations(image: LabelledImage, number: int) -> list[dict[str, Any]]:
    ignored = coco_annotations(image.ignored, number)
    return coco_annotations(image.objects, number) + [{**each, "category_id": IGNORED_ID} for each in ignored]


def _files(root: Path) -> Iterator[Path]:
    for file in sorted(visible([*root.glob(any_case("annotations/*.json")), *root.glob(any_case("*.json"))])):
        if file.name == COCO_FILE:  # what a pipeline found is no truth
            continue
        document = peek_json(file)
        if isinstance(document, dict) and {"images", "annotations", "categories"} <= document.keys():
            annotations = document["annotations"]
            # A panoptic file has one entry an image, which holds its segments.
            if not (isinstance(annotations, list) and annotations and "segments_info" in annotations[0]):
                yield file


def _images(document: dict[str, Any], root: Path) -> Iterator[LabelledImage]:
    names = {category["id"]: str(category["name"]) for category in document["categories"]}
    annotations: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for each in document["annotations"]:
        annotations[each["image_id"]].append(each)
    for image in document["images"]:
        height, width, name = (
            int(image["height"]),
            int(image["width"]),
            name_in_labels(str(image["file_name"])),
        )
        labelled = []
        for each in annotations[image["id"]]:
            label, found = names[each["category_id"]], _outline(each, height, width)
            if found is None:
                warn_left_out(name, label, "shape")
            else:
                labelled.append((label, found))
        path = find_image(root, name)
        yield LabelledImage.from_labelled(name, height, width, labelled, path)


def _outline(annotation: dict[str, Any], height: int, width: int) -> OodObject | None:
    """The object of an annotation, its box where it has no outline; None where it has no pixel."""
    from pycocotools import mask as rle_tools

    shape = annotation.get("segmentation") or []
    if isinstance(shape, list):
        polygons = [points for points in shape if len(points) >= 6]
        if not polygons and not shape:
            left, top, columns, rows = annotation["bbox"]
            right, bottom = left + columns, top + rows
            polygons = [[left, top, right, top, right, bottom, left, bottom]]
        if not polygons:
            return None
        shape = rle_tools.merge(rle_tools.frPyObjects(polygons, height, width))
    try:
        score = annotation.get("score")
        return OodObject.from_rle(shape, 1.0 if score is None else float(score))
    except ValueError as error:
        if "empty" in str(error):
            return None
        raise


FORMAT = Format("COCO instances", "annotations/instances_*.json, images/", write, read, matches)
