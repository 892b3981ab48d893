"""Writes one prediction into a folder laid out as `oodseg predict` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import add_to_document, coco_document
from oodseg.core.encoding import encode_image, encode_numbers, encode_png
from oodseg.core.errors import OodsegError
from oodseg.core.files import write_bytes, write_json
from oodseg.core.objects import OodObject
from oodseg.core.run_file import read_run_file
from oodseg.core.version import __version__

COCO_FILE = "predictions.json"


def save_prediction(
    folder: Path, file_name: str, files: Mapping[str, NDArray[Any]], objects: Sequence[OodObject]
) -> Path:
    """Writes the files of one image and adds its objects to the folder's COCO file.

    Args:
        folder: Made if missing.
        file_name: Of the image; the files are named after it, without its suffix.
        files: `masks`, bool `[H, W]`; `confidence`, float32 `[H, W]` in 0..1; `overlays`, uint8
            `[H', W', 3]`.
        objects: What was found.

    Returns:
        The COCO file.

    Raises:
        OodsegError: A file cannot be written, the folder is one of `oodseg predict`, or holds a
            `predictions.json` that is no COCO file.
    """
    if read_run_file(folder):
        raise OodsegError(
            f"{folder} holds the results of a run, which lists its own alone: choose another folder"
        )
    target = folder / COCO_FILE
    height, width = files["masks"].shape
    # Built first: a folder that cannot take the objects gets no other file either.
    document = _extended(target, file_name, int(height), int(width), objects)
    stem = PurePath(file_name).stem
    write_bytes(folder / "masks" / f"{stem}.png", encode_png(files["masks"].astype(np.uint8) * np.uint8(255)))
    write_bytes(folder / "confidence" / f"{stem}.png", encode_numbers(files["confidence"], "png"))
    write_bytes(folder / "overlays" / f"{stem}.jpg", encode_image(files["overlays"], "jpg"))
    write_json(target, document)
    return target


def _extended(
    target: Path, file_name: str, height: int, width: int, objects: Sequence[OodObject]
) -> dict[str, Any]:
    """Builds the content of the COCO file."""
    document = coco_document([], {"description": "unknown objects found by oodseg", "version": __version__})
    try:
        if target.exists():
            document = json.loads(target.read_text(encoding="utf-8"))
        return add_to_document(document, file_name, height, width, objects)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OodsegError(f"{target} is not a COCO file of oodseg: choose another folder") from error
