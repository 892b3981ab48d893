"""Hugging Face `datasets`: an image folder with its metadata, which `load_dataset("imagefolder")` reads.

    metadata.jsonl    one line per image: its size, and boxes, masks and labels of its objects
    images/NAME

A mask is COCO's run lengths of the whole image, as text: `pycocotools.mask.decode` takes it with the size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oodseg.core.files import write_bytes
from oodseg.core.objects import OodObject
from oodseg.core.texts import read_text
from oodseg.exchange.format import Format, in_images, reading
from oodseg.exchange.images import find_image
from oodseg.exchange.labels import LabelledImage

FILE = "metadata.jsonl"


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one line per image; nothing is lost."""
    lines = [json.dumps(_row(image)) + "\n" for image in images]
    write_bytes(out / FILE, "".join(lines).encode())
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads all lines.

    Raises:
        DatasetError: The file is damaged.
    """
    with reading(root / FILE, "metadata of an image folder with masks"):
        lines = read_text(root / FILE).split("\n")  # texts may hold other breaks
        return [_image(json.loads(line), root) for line in lines if line.strip()]


def matches(root: Path) -> bool:
    """Tells whether there is such a file, with masks in its first line."""
    try:
        line, _, _ = read_text(root / FILE).partition("\n")
        return not line.strip() or "rle" in json.loads(line)["objects"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _row(image: LabelledImage) -> dict[str, Any]:
    labels = [label for label, _ in image.labelled()]
    objects = [each for _, each in image.labelled()]
    return {
        "file_name": in_images(image.name),
        "height": image.height,
        "width": image.width,
        "objects": {
            "bbox": [list(each.bbox) for each in objects],
            "category": labels,
            "area": [each.area for each in objects],
            "score": [round(each.confidence, 6) for each in objects],
            "rle": [each.rle["counts"] for each in objects],
        },
    }


def _image(row: dict[str, Any], root: Path) -> LabelledImage:
    height, width, objects = int(row["height"]), int(row["width"]), row["objects"]
    name = str(row["file_name"]).removeprefix(in_images(""))
    labelled = [
        (str(label), OodObject.from_rle({"size": [height, width], "counts": counts}, float(score)))
        for label, counts, score in zip(objects["category"], objects["rle"], objects["score"], strict=True)
    ]
    return LabelledImage.from_labelled(name, height, width, labelled, find_image(root, name))


FORMAT = Format("Hugging Face image folder", "metadata.jsonl, images/", write, read, matches)
