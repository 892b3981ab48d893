"""Slices that `oodseg train slices` cut, as a label set for the trainings of synthesize-then-compare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.data.msd import SLICES_FILE, SPLITS


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
        """Image uint8 `[H, W, 3]` and labels uint8 `[H, W]`.

        Raises:
            DatasetError: A file cannot be read.
        """
        grey, labels = _read(self.image), _read(self.label)
        return np.repeat(grey[:, :, None], 3, axis=2), labels

    def read_prediction(self) -> NDArray[np.uint8] | None:
        """Predicted classes, uint8 `[H, W]`; None if no prediction came with the scan.

        Raises:
            DatasetError: The file cannot be read.
        """
        return None if self.prediction is None else _read(self.prediction)


def labelled_slices(root: Path) -> tuple[tuple[str, ...], dict[str, list[LabelledSlice]]]:
    """Lists classes, and the slices of every split, scan after scan.

    Raises:
        DatasetError: It is no folder that `oodseg train slices` wrote, or is not finished.
    """
    about = _about(root)
    return tuple(about["classes"]), {split: _split(root / split, about["predictions"]) for split in SPLITS}


def window_of(root: Path) -> tuple[float, float]:
    """Values of the scans that are black and white in the slices of a folder.

    Raises:
        DatasetError: It is no folder that `oodseg train slices` wrote, or is not finished.
    """
    low, high = _about(root)["window"]
    return float(low), float(high)


def _about(root: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((root / SLICES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{root} holds no {SLICES_FILE} ({error}): name a folder that `oodseg train slices` finished"
        ) from error
    return found


def _split(folder: Path, predictions: bool) -> list[LabelledSlice]:
    found = []
    for case in sorted((folder / "cases").glob("*.json")):
        for name in json.loads(case.read_text(encoding="utf-8")):
            image, label, prediction = (
                folder / kind / f"{name}.png" for kind in ("images", "labels", "predictions")
            )
            found.append(LabelledSlice(case.stem, image, label, prediction if predictions else None))
    return found


def _read(path: Path) -> NDArray[np.uint8]:
    import cv2

    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint8 or found.ndim != 2:
        raise DatasetError(f"{path} cannot be read: run `oodseg train slices` again into another folder")
    return np.asarray(found, np.uint8)
