"""Converts objects to COCO's format, as pycocotools reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oodseg.core.objects import OodObject

CATEGORY_ID = 1
CATEGORY = "unknown"


def coco_annotations(
    objects: Sequence[OodObject], image_id: int, first_annotation_id: int = 1
) -> list[dict[str, Any]]:
    """Describes objects as JSON-able COCO annotations, in the order given.

    Args:
        objects: The objects of one image.
        image_id: The `id` of that image.
        first_annotation_id: The `id` of the first annotation; the others count up from it.

    Returns:
        One dict per object: `segmentation` in compressed run lengths, `bbox` of the mask as `[x, y, width,
        height]`, `area` in pixels, `score` 0..1.
    """
    return [
        {
            "id": first_annotation_id + position,
            "image_id": image_id,
            "category_id": CATEGORY_ID,
            "segmentation": found.rle,
            "bbox": [round(side) for side in found.bbox],
            "area": found.area,
            "iscrowd": 0,
            "score": round(found.confidence, 6),
        }
        for position, found in enumerate(objects)
    ]


def coco_document(
    images: Iterable[tuple[int, str, int, int, Sequence[Mapping[str, Any]]]], info: Mapping[str, Any]
) -> dict[str, Any]:
    """Builds the COCO document of many images.

    Args:
        images: Number, file name, height, width, and annotations (`coco_annotations`, whose ids are replaced)
            of every image.
        info: JSON-able: what stands under `info`.

    Returns:
        `info`, `images`, `annotations` (numbered from 1) and `categories`.
    """
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name, height, width, objects in images:
        listed.append(coco_image(number, name, height, width))
        for found in objects:
            annotations.append({**found, "id": len(annotations) + 1, "image_id": number})
    categories = [{"id": CATEGORY_ID, "name": CATEGORY}]
    return {"info": dict(info), "images": listed, "annotations": annotations, "categories": categories}


def coco_image(image_id: int, file_name: str, height: int, width: int) -> dict[str, Any]:
    """Describes one image as COCO does."""
    return {"id": image_id, "file_name": file_name, "width": width, "height": height}


def add_to_document(
    document: Mapping[str, Any], file_name: str, height: int, width: int, objects: Sequence[OodObject]
) -> dict[str, Any]:
    """Adds an image with its objects to a COCO document; one of the same file name is replaced.

    Args:
        document: As `coco_document` gives it.
        file_name: Of the image.
        height: Rows of the image.
        width: Columns of the image.
        objects: What was found in it.

    Returns:
        The document with that image last; images keep their ids, annotations are numbered anew.

    Raises:
        KeyError: The document is no COCO document.
        TypeError: Likewise.
    """
    kept = [image for image in document["images"] if image["file_name"] != file_name]
    images = [
        (
            image["id"],
            image["file_name"],
            image["height"],
            image["width"],
            [found for found in document["annotations"] if found["image_id"] == image["id"]],
        )
        for image in kept
    ]
    replaced = [image["id"] for image in document["images"] if image["file_name"] == file_name]
    number = replaced[0] if replaced else 1 + max((image["id"] for image in kept), default=0)
    images.append((number, file_name, height, width, coco_annotations(objects, number)))
    return coco_document(images, document["info"])


def read_listing(path: Path) -> tuple[dict[str, int], Any]:
    """Reads a COCO file: the number of every image, by file name, and `info`; nothing if it is broken."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        ids = {str(image["file_name"]): int(image["id"]) for image in document["images"]}
        whole = len(set(ids.values())) == len(document["images"])  # else no number tells one image
        return (ids, document.get("info")) if whole else ({}, None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return {}, None
