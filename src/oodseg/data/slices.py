"""Slices that `oodseg train slices` cut, as a label set for the trainings of synthesize-then-compare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, ImageError, cause
from oodseg.core.texts import read_text
from oodseg.data.msd import SLICES_FILE
from oodseg.data.msd_layout import SPLITS
from oodseg.io.images import read_image
from oodseg.io.labels import read_label


@dataclass(frozen=True)
class LabelledSlice:
    """One slice on disk.

    Attributes:
        case: The scan it was cut from.
        image: Grey PNG.
        label: PNG of the true classes.
        prediction: PNG of the classes predicted elsewhere, or None.
    """

    case: str
    image: Path
    label: Path
    prediction: Path | None

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Reads the image, uint8 `[H, W, 3]` and labels uint8 `[H, W]`.

        Raises:
            DatasetError: A file cannot be read.
        """
        try:
            image, labels = read_image(self.image), _read_classes(self.label)
        except ImageError as error:
            raise DatasetError(_cut_again(self.image)) from error
        if image.shape[:2] != labels.shape:
            raise DatasetError(_cut_again(self.label))
        return image, labels

    def read_prediction(self) -> NDArray[np.uint8] | None:
        """Returns the predicted classes, uint8 `[H, W]`; None if no prediction came with the scan.

        Raises:
            DatasetError: The file cannot be read.
        """
        return None if self.prediction is None else _read_classes(self.prediction)


def labelled_slices(root: Path) -> tuple[tuple[str, ...], dict[str, list[LabelledSlice]]]:
    """Lists classes, and the slices of every split, scan after scan.

    Raises:
        DatasetError: It is no folder that `oodseg train slices` wrote, or is not finished.
    """
    about = _about(root)
    return tuple(about["classes"]), {split: _split(root / split, about["predictions"]) for split in SPLITS}


def window_of(root: Path) -> tuple[float, float] | None:
    """Values of the scans that are black and white in the slices of a folder; None for those of each scan.

    Raises:
        DatasetError: It is no folder that `oodseg train slices` wrote, or is not finished.
    """
    window = _about(root)["window"]
    return None if window is None else (float(window[0]), float(window[1]))


def _about(root: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(read_text(root / SLICES_FILE))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{root} holds no {SLICES_FILE} ({cause(error)}): give the folder of `oodseg train slices`"
        ) from error
    return found


def _split(folder: Path, predictions: bool) -> list[LabelledSlice]:
    found = []
    for case in sorted((folder / "cases").glob("*.json")):
        for name in json.loads(read_text(case)):
            image, label, prediction = (
                folder / kind / f"{name}.png" for kind in ("images", "labels", "predictions")
            )
            found.append(LabelledSlice(case.stem, image, label, prediction if predictions else None))
    return found


def _read_classes(path: Path) -> NDArray[np.uint8]:
    found = read_label(path)
    if found.max() > 255:
        raise DatasetError(_cut_again(path))
    return found.astype(np.uint8)


def _cut_again(path: Path) -> str:
    return f"{path} cannot be read: run `oodseg train slices` again into another folder"
