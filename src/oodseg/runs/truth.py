"""Measures the estimates of a finished run on the images whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.files import composed
from oodseg.core.progress import Progress, silent
from oodseg.core.taxonomy import BACKGROUND, IGNORE
from oodseg.data.files import images_below
from oodseg.io.images import read_header
from oodseg.io.labels import read_label
from oodseg.metrics.failure import image_dice, image_iou
from oodseg.report.failure_record import FailureRecord
from oodseg.report.measured_estimates import MeasuredEstimates
from oodseg.runs.items import Item
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


def read_truth(path: Path, name: str, size: tuple[int, ...], classes: Sequence[str]) -> NDArray[np.uint16]:
    """Reads a true label.

    Args:
        path: Its file.
        name: Of its image.
        size: Height and width of that.
        classes: The codes are indices into these.

    Raises:
        DatasetError: It cannot be read, is of another size, or holds a code that is no class.
    """
    codes = read_label(path)
    if codes.shape != tuple(size):
        raise DatasetError(
            f"the label {path} is {codes.shape[1]}x{codes.shape[0]}, the image {name} {size[1]}x{size[0]}: "
            "both must be of one size"
        )
    strange = codes[(codes >= len(classes)) & (codes < IGNORE)]
    if strange.size:
        listed = ", ".join(f"{index} {each}" for index, each in enumerate(classes))
        raise DatasetError(
            f"the label {path} holds the code {int(strange[0])}, but the classes are {listed}: write these "
            f"numbers, and {IGNORE} where there is no truth"
        )
    return codes


def check_truth(
    truth: Truth, items: Sequence[Item], classes: Sequence[str], progress: Progress | None = None
) -> None:
    """Checks the true labels of a run before it begins.

    Args:
        truth: The labels.
        items: The images, under the names that they have in the run.
        classes: The judge's.
        progress: Told after every image.

    Raises:
        DatasetError: As `measure_estimates`, as far as it can be told yet.
    """
    stems, known = Counter(Path(item.name).stem for item in items), 0
    for number, item in enumerate(items, start=1):
        path = truth.find(item.name, stems[Path(item.name).stem] == 1)
        if path is not None and item.path is not None:
            known += 1
            with suppress(ImageError):  # an image that is broken has no results to be measured
                read_truth(path, item.name, read_header(item.path).shape, classes)
        known += path is not None and item.path is None
        (progress or silent)("checking labels", number, len(items))
    if not known:
        raise DatasetError(nothing_known(truth))


def nothing_known(truth: Truth) -> str:
    """Words the error where no image of a run has a true label."""
    return f"{truth.folder} holds no label for any image of the run: labels are named like their images"


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
        predicted = read_label(store.path("labels", key))
        codes = read_truth(path, each.name, predicted.shape, classes)
        unknown = (codes > IGNORE) | (predicted == IGNORE)  # void labels are not judged
        true.append(quality_of(predicted, np.where(unknown, IGNORE, codes), len(classes))[things])
        record = each.record
        estimated.append([record.by_class.get(classes[k], np.nan) for k in things])
        means.append(np.nan if record.mean is None else record.mean)
    if not true:
        raise DatasetError(nothing_known(truth))
    names = tuple(classes[k] for k in things)
    return MeasuredEstimates(names, np.array(estimated), np.stack(true), np.array(means), measure, without)
