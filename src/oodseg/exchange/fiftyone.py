"""FiftyOne: the folder that `fiftyone.types.FiftyOneDataset` reads; masks as compressed arrays in their box.

    data/NAME
    metadata.json, samples.json

Read is also what FiftyOne exports: of every sample the detections in the field `ground_truth`, else those in
`predictions`, else those in the first field that holds any.
"""

from __future__ import annotations

import io
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import CATEGORY
from oodseg.core.files import write_json
from oodseg.core.objects import OodObject
from oodseg.exchange.format import Format, load_json, reading
from oodseg.exchange.images import find_image, size_of
from oodseg.exchange.labels import IGNORED, LabelledImage
from oodseg.exchange.shapes import cut_out, put_back, warn_left_out

META_FILE, FILE = "metadata.json", "samples.json"
_FIELDS = ("ground_truth", "predictions")


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one sample per image; nothing is lost."""
    # Without a version FiftyOne takes the samples as they are, whichever release of it reads them.
    meta = {"name": out.resolve().name, "media_type": "image", "info": {"classes": [CATEGORY, IGNORED]}}
    write_json(out / META_FILE, meta, indent=1)
    write_json(out / FILE, {"samples": [_sample(image) for image in images]})
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads all samples.

    Raises:
        DatasetError: A file is damaged, or an image that nothing is known of is gone.
    """
    with reading(root / FILE, "samples of FiftyOne"):
        return [_image(sample, root) for sample in load_json(root / FILE)["samples"]]


def matches(root: Path) -> bool:
    """Tells whether a folder holds samples."""
    return (root / FILE).is_file() and (root / META_FILE).is_file()


def place(name: str) -> str:
    """Returns the path of an image below the export."""
    return f"data/{name}"


def encode(cut: NDArray[np.bool_]) -> str:
    """Encodes a mask, bool `[h, w]`, as FiftyOne does: `.npy`, compressed, as text."""
    data = io.BytesIO()
    np.save(data, cut, allow_pickle=False)
    return b64encode(zlib.compress(data.getvalue())).decode("ascii")


def decode(value: Any) -> NDArray[np.bool_]:
    """Decodes what `encode`, or FiftyOne, wrote; its exports wrap the text in MongoDB's JSON.

    Raises:
        ValueError: It is no such mask.
    """
    if isinstance(value, dict):
        value = value["$binary"]
        value = value["base64"] if isinstance(value, dict) else value
    try:
        mask = np.load(io.BytesIO(zlib.decompress(b64decode(value))), allow_pickle=False)
    except zlib.error as error:
        raise ValueError(f"a mask is damaged: {error}") from error
    return np.asarray(mask, bool)


def _sample(image: LabelledImage) -> dict[str, Any]:
    metadata = {"_cls": "ImageMetadata", "width": image.width, "height": image.height}
    detections = [_detection(label, each, image) for label, each in image.labelled()]
    return {
        "filepath": place(image.name),
        "tags": [],
        "metadata": metadata,
        _FIELDS[0]: {"_cls": "Detections", "detections": detections},
    }


def _detection(label: str, found: OodObject, image: LabelledImage) -> dict[str, Any]:
    left, top, cut = cut_out(found)
    height, width = cut.shape
    box = [left / image.width, top / image.height, width / image.width, height / image.height]
    return {
        "_cls": "Detection",
        "tags": [],
        "label": label,
        "bounding_box": box,
        "mask": encode(cut),
        "confidence": round(found.confidence, 6),
    }


def _image(sample: dict[str, Any], root: Path) -> LabelledImage:
    name = str(sample["filepath"]).replace("\\", "/").removeprefix("data/")
    path = find_image(root, name, "data")
    known = sample.get("metadata") or {}
    if not known.get("width"):
        if path is None:
            raise ValueError(f"nothing says how large {name} is: put the images into data/")
        known = dict(zip(("height", "width"), size_of(path), strict=True))
    height, width = int(known["height"]), int(known["width"])
    return LabelledImage.from_labelled(name, height, width, _outlines(sample, height, width, root), path)


def _outlines(sample: dict[str, Any], height: int, width: int, root: Path) -> Iterator[tuple[str, OodObject]]:
    fields = [key for key in (*_FIELDS, *sample) if _holds_detections(sample.get(key))]
    for each in sample[fields[0]]["detections"] if fields else ():
        cut = _mask_of(each, root)
        left, top = round(each["bounding_box"][0] * width), round(each["bounding_box"][1] * height)
        if cut is None:  # a box without an outline
            columns, rows = (
                round(side * size)
                for side, size in zip(each["bounding_box"][2:], (width, height), strict=True)
            )
            cut = np.ones((rows, columns), bool)
        mask = put_back(cut, left, top, height, width)
        if mask.any():
            confidence = each.get("confidence")
            yield str(each["label"]), OodObject.from_mask(mask, 1.0 if confidence is None else confidence)
        else:
            warn_left_out(str(sample["filepath"]), str(each["label"]), "box")


def _holds_detections(value: Any) -> bool:
    return isinstance(value, dict) and value.get("_cls") == "Detections" and "detections" in value


def _mask_of(detection: dict[str, Any], root: Path) -> NDArray[np.bool_] | None:
    from PIL import Image

    if detection.get("mask") is not None:
        return decode(detection["mask"])
    if detection.get("mask_path"):
        with Image.open(root / detection["mask_path"]) as image:
            return np.asarray(image.convert("L")) > 0
    return None


FORMAT = Format("FiftyOne", "metadata.json, samples.json, data/", write, read, matches, place)
