"""Reads the folder of a finished `oodseg predict` as labels."""

from __future__ import annotations

from pathlib import Path

from oodseg.core.errors import DatasetError
from oodseg.core.objects import OodObject
from oodseg.core.prediction import Prediction
from oodseg.core.saving import COCO_FILE
from oodseg.exchange.format import load_json, reading
from oodseg.exchange.images import find_image
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.rows import has_rows, read_rows

_TRACKS = "tracks.json"  # of a video


def read_results(folder: Path) -> list[LabelledImage]:
    """Reads what `oodseg predict`, with either engine, or `Prediction.save` wrote.

    Images are looked for where the run read them, then in `images/` beside the results.

    Args:
        folder: It holds `predictions.json`, or rows in Parquet; or that file.

    Raises:
        DatasetError: It does not, or the file is damaged.
    """
    if folder.is_dir() and has_rows(folder):
        return read_rows(folder)
    file = folder if folder.is_file() else folder / COCO_FILE
    if not file.is_file():
        remedy = "name the folder that `oodseg predict` wrote"
        if (folder / _TRACKS).is_file():
            remedy = "it is of a video; save its frames as images and predict these"
        raise DatasetError(f"{folder} holds no {COCO_FILE}: {remedy}")
    with reading(file, "results of `oodseg predict`"):
        document = load_json(file)
        found: dict[int, list[OodObject]] = {image["id"]: [] for image in document["images"]}
        for each in document["annotations"]:
            found[each["image_id"]].append(OodObject.from_rle(each["segmentation"], each["score"]))
        root = document["info"].get("images")
        return [
            LabelledImage(
                image["file_name"],
                image["height"],
                image["width"],
                tuple(found[image["id"]]),
                path=_image(image.get("folder", root), file.parent, image["file_name"]),
            )
            for image in document["images"]
        ]


def from_prediction(prediction: Prediction) -> LabelledImage:
    """Takes over a prediction's objects, named after the file they were found in."""
    return LabelledImage(
        prediction.title,
        prediction.height,
        prediction.width,
        tuple(prediction.objects),
        path=prediction.path,
    )


def _image(root: str | None, folder: Path, name: str) -> Path | None:
    if root is not None and (path := Path(root) / name).is_file():
        return path
    return find_image(folder, name)
