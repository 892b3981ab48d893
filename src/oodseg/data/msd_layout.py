"""Scans with labels on disk: the layout of the Medical Segmentation Decathlon, or two plain folders.

    Task07_Pancreas/dataset.json             names of the structures
    Task07_Pancreas/imagesTr/<case>.nii.gz   scans
    Task07_Pancreas/labelsTr/<case>.nii.gz   their labels

(Antonelli et al., Nature Communications 2022; the pancreas task is CC-BY-SA 4.0.) The plain layout is
`images/` and `labels/`; it needs no `dataset.json` where the structures are named by the caller. Predictions
of the scans, made by a model that had not seen them, lie in a folder of their own as `<case>.nii.gz`: what a
cross-validation leaves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError, DatasetError, ImageError, cause
from oodseg.core.fingerprint import stable_number
from oodseg.core.taxonomy import BACKGROUND
from oodseg.core.texts import read_text
from oodseg.io.volume_formats import SUFFIXES, check_format, is_foreign_volume, volume_name

SPLITS = ("train", "val", "test")
_HELD_BACK = 10  # one case in so many is for validation, another for testing
_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))


@dataclass(frozen=True)
class Case:
    """One scan with its labels.

    Attributes:
        name: File name without its suffix.
        scan: NIfTI file.
        labels: NIfTI file of the truth.
        prediction: NIfTI file of a prediction, or None.
    """

    name: str
    scan: Path
    labels: Path
    prediction: Path | None


def read_layout(
    root: Path, predictions: Path | None = None, structures: Mapping[int, str] | None = None
) -> tuple[tuple[str, ...], list[Case]]:
    """Reads the names of the structures and lists the labelled cases.

    Args:
        root: The task's folder as unpacked, or one with `images/` and `labels/`.
        predictions: Folder of predictions, one for every case; None if there are none.
        structures: Name of every code in the labels, 1, 2 and so on; None for what `dataset.json` says.

    Raises:
        ConfigError: Structures that are not numbered 1, 2 and so on.
        DatasetError: Files are missing, or `dataset.json` names no structures.
    """
    classes = _named(structures) if structures else _classes(root / "dataset.json")
    images, labels = next((pair for pair in _FOLDERS if (root / pair[0]).is_dir()), _FOLDERS[0])
    files = sorted(path for path in (root / images).glob("*") if not path.name.startswith("."))
    scans = [path for path in files if path.name.lower().endswith(SUFFIXES)]
    if not scans:
        for foreign in filter(is_foreign_volume, files):
            _refuse(foreign)
        raise DatasetError(f"{root / images} holds no .nii.gz scan: name the task's folder as unpacked")
    cases = []
    for scan in scans:
        prediction = None if predictions is None else predictions / scan.name
        for path in (root / labels / scan.name, prediction):
            if path is not None and not path.is_file():
                raise DatasetError(f"the scan {scan} has no {path}: add that file, or remove the scan")
        cases.append(Case(volume_name(scan), scan, root / labels / scan.name, prediction))
    return classes, cases


def _refuse(path: Path) -> None:
    try:
        check_format(path)
    except ImageError as error:
        raise DatasetError(str(error)) from error


def split_cases(cases: Sequence[Case], fold: tuple[int, int] | None = None) -> dict[str, list[Case]]:
    """Splits cases for good: a tenth to validate, a tenth to test, at least one each.

    Args:
        cases: All labelled cases.
        fold: Number K and count N of a cross-validation: the K-th N-th of the cases, K from 0, is for
            testing instead, so that every case is tested in one of N runs. None for a tenth.

    Raises:
        ConfigError: A fold that there is not.
        DatasetError: Fewer than three cases, or than folds.
    """
    if len(cases) < max(len(SPLITS), 0 if fold is None else fold[1]):
        raise DatasetError(
            f"{len(cases)} scans are too few: at least one each is needed to train, validate and test"
        )
    # By a hash of the name: neither hospital nor date, which names may follow, falls into one split.
    mixed = sorted(cases, key=lambda case: stable_number(case.name))
    count = max(1, len(cases) // _HELD_BACK)
    if fold is None:
        parts = {"val": mixed[:count], "test": mixed[count : 2 * count], "train": mixed[2 * count :]}
    else:
        number, folds = fold
        if folds < 2 or not 0 <= number < folds:
            raise ConfigError(f"there is no fold {number} of {folds}: count from 0, with 2 folds or more")
        rest = [case for index, case in enumerate(mixed) if index % folds != number]
        parts = {"val": rest[:count], "test": mixed[number::folds], "train": rest[count:]}
    return {split: sorted(part, key=lambda case: case.name) for split, part in parts.items()}


def _classes(path: Path) -> tuple[str, ...]:
    try:
        named: dict[str, Any] = json.loads(read_text(path))["labels"]
        # Newer files have it the other way round: {"background": 0, "pancreas": 1}.
        pairs = [(int(k), str(v)) if str(k).isdecimal() else (int(v), str(k)) for k, v in named.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} names no structures ({cause(error)}): name the task's folder as unpacked, with this "
            "file, or every structure with --structure NAME=CODE"
        ) from error
    names = dict(pairs)
    if sorted(names) != list(range(len(names))) or len(names) < 2:
        raise DatasetError(f"{path} must number its labels 0, 1, 2 and so on; it has {sorted(names)}")
    return (BACKGROUND, *(names[code] for code in range(1, len(names))))


def _named(structures: Mapping[int, str]) -> tuple[str, ...]:
    if sorted(structures) != list(range(1, len(structures) + 1)) or BACKGROUND in structures.values():
        raise ConfigError(
            f"structures are numbered 1, 2 and so on, and 0 is the background, not {sorted(structures)}: "
            "write --structure anterior=1 --structure posterior=2"
        )
    return (BACKGROUND, *(structures[code] for code in sorted(structures)))
