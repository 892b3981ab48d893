"""Measures the estimates of a finished run on the images whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.core.files import composed
from oodseg.core.taxonomy import BACKGROUND, IGNORE
from oodseg.data.files import images_below
from oodseg.io.labels import read_label
from oodseg.metrics.failure import image_dice, image_iou
from oodseg.report.failure_record import FailureRecord
from oodseg.report.measured_estimates import MeasuredEstimates
from oodseg.runs.store import RunStore


@dataclass(frozen=True)
class Truth:
    """Label images of a folder, by the names of the images they belong to.

    Attributes:
        folder: The folder.
        labels: Path by name: by stem, or `sub/stem` in a sub folder.
    """

    folder: Path
    labels: Mapping[str, Path]

    def find(self, name: str, alone: bool) -> Path | None:
        """Finds the label of an image; None if there is none.

        Args:
            name: Of the image, as the run has it.
            alone: Whether no other image has the same name in another folder: only then a label may lie in
                none.
        """
        path = Path(composed(name))
        names = [path.as_posix(), path.with_suffix("").as_posix(), *((path.name, path.stem) if alone else ())]
        return next((self.labels[each] for each in names if each in self.labels), None)


def open_truth(folder: Path) -> Truth:
    """Lists the label images of a folder.

    Raises:
        DatasetError: There are none, two of one name, or no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(f"the folder of labels {folder} does not exist: check the path for typing errors")
    found = images_below(folder)
    if not found:
        raise DatasetError(
            f"{folder} holds no label images: name the folder of the labels, named like their images"
        )
    return Truth(folder, found)


def measure_estimates(
    store: RunStore[FailureRecord], truth: Truth, classes: tuple[str, ...], measure: str
) -> MeasuredEstimates:
    """Compares what a run estimated with what is true.

    Args:
        store: The finished run, with the predicted labels.
        truth: Labels are indices into the classes, 255 where there is no truth.
        classes: Names of the C classes.
        measure: `"IoU"` or `"Dice"`.

    Raises:
        DatasetError: No image of the run has a truth, a label cannot be read, is of another size, or holds
            a code that is no class.
    """
    quality_of = image_dice if measure == "Dice" else image_iou
    things = [k for k, name in enumerate(classes) if name != BACKGROUND]
    estimated, true, means, without = [], [], [], 0
    stems = Counter(Path(each.name).stem for each in store.stored.values())
    for key, each in store.stored.items():
        path = truth.find(each.name, stems[Path(each.name).stem] == 1)
        if path is None:
            without += 1
            continue
        predicted, codes = read_label(store.path("labels", key)), read_label(path)
        if predicted.shape != codes.shape:
            raise DatasetError(
                f"the label {path} is {codes.shape[1]}x{codes.shape[0]}, the image {each.name} "
                f"{predicted.shape[1]}x{predicted.shape[0]}: both must be of one size"
            )
        strange = codes[(codes >= len(classes)) & (codes < IGNORE)]
        if strange.size:
            listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
            raise DatasetError(
                f"the label {path} holds the code {int(strange[0])}, but the classes are {listed}: write "
                f"these numbers, and {IGNORE} where there is no truth"
            )
        true.append(quality_of(predicted, np.where(codes > IGNORE, IGNORE, codes), len(classes))[things])
        record = each.record
        estimated.append([record.by_class.get(classes[k], np.nan) for k in things])
        means.append(np.nan if record.mean is None else record.mean)
    if not true:
        raise DatasetError(
            f"{truth.folder} holds no label for any image of the run: labels are named like their images"
        )
    names = tuple(classes[k] for k in things)
    return MeasuredEstimates(names, np.array(estimated), np.stack(true), np.array(means), measure, without)
