"""Scans with labels in the layout of the Medical Segmentation Decathlon, cut into pictures to train on.

    Task07_Pancreas/dataset.json             names of the structures
    Task07_Pancreas/imagesTr/<case>.nii.gz   scans
    Task07_Pancreas/labelsTr/<case>.nii.gz   their labels

(Antonelli et al., Nature Communications 2022; the pancreas task is CC-BY-SA 4.0.) Predictions of the scans,
made by a model that had not seen them, lie in a folder of their own as `<case>.nii.gz`: what a
cross-validation leaves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodseg.core.encoding import encode_png
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.files import write_bytes, write_json
from oodseg.core.fingerprint import stable_number
from oodseg.core.progress import Progress
from oodseg.core.taxonomy import BACKGROUND
from oodseg.io.slices import Slices
from oodseg.io.volumes import SUFFIXES, read_labels, read_volume, volume_name

SLICES_FILE = "slices.json"
SPLITS = ("train", "val", "test")
_EMPTY_EVERY = 10  # of the slices without any structure, one in so many is kept
_HELD_BACK = 10  # one case in so many is for validation, another for testing


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


def read_layout(root: Path, predictions: Path | None = None) -> tuple[tuple[str, ...], list[Case]]:
    """Reads the names of the structures and lists the labelled cases.

    Args:
        root: The task's folder as unpacked.
        predictions: Folder of predictions, one for every case; None if there are none.

    Raises:
        DatasetError: Files are missing, or `dataset.json` names no structures.
    """
    classes = _classes(root / "dataset.json")
    scans = sorted(
        path
        for path in (root / "imagesTr").glob("*")
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
    )
    if not scans:
        raise DatasetError(f"{root / 'imagesTr'} holds no .nii.gz scan: name the task's folder as unpacked")
    cases = []
    for scan in scans:
        prediction = None if predictions is None else predictions / scan.name
        for path in (root / "labelsTr" / scan.name, prediction):
            if path is not None and not path.is_file():
                raise DatasetError(f"the scan {scan} has no {path}: add that file, or take the scan away")
        cases.append(Case(volume_name(scan), scan, root / "labelsTr" / scan.name, prediction))
    return classes, cases


def split_cases(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Splits cases for good: a tenth to validate, a tenth to test, at least one each.

    Raises:
        DatasetError: Fewer than three cases.
    """
    if len(cases) < len(SPLITS):
        raise DatasetError(
            f"{len(cases)} scans are too few: at least one each is needed to train, validate and test"
        )
    # By a hash of the name: neither hospital nor date, which names may follow, falls into one split.
    mixed = sorted(cases, key=lambda case: stable_number(case.name))
    count = max(1, len(cases) // _HELD_BACK)
    parts = {"val": mixed[:count], "test": mixed[count : 2 * count], "train": mixed[2 * count :]}
    return {split: sorted(part, key=lambda case: case.name) for split, part in parts.items()}


def export_slices(
    root: Path,
    out: Path,
    window: tuple[float, float],
    predictions: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Cuts all cases into slices: `out/<split>/{images,labels,predictions}/<case>_slice000.png`.

    Kept are the slices in which truth or prediction hold a structure, and one in ten of the others. A case
    that is done is not done again.

    Args:
        root: The task's folder as unpacked.
        out: Folder to write to.
        window: Values of the scans that become black and white.
        predictions: Folder of predictions, or None.
        progress: Told after every case.

    Returns:
        Slices of every split.

    Raises:
        ConfigError: A window whose second value is not the larger one.
        DatasetError: Files are missing, do not belong together, or hold labels that have no name.
        ImageError: A volume cannot be read.
        OodsegError: A file cannot be written, or `out` holds slices of another window or origin.
    """
    if window[0] >= window[1]:
        raise ConfigError(f"--window {window[0]:g} {window[1]:g}: the second value must be the larger one")
    classes, cases = read_layout(root, predictions)
    about = {
        "classes": list(classes),
        "window": list(window),
        "predictions": predictions is not None,
        "origin": root.resolve().name,
    }
    _check_same(out / SLICES_FILE, about)
    counts = dict.fromkeys(SPLITS, 0)
    placed = [(split, case) for split, part in split_cases(cases).items() for case in part]
    for done, (split, case) in enumerate(placed):
        if progress:
            progress("cutting", done, len(placed))
        counts[split] += _export_case(case, out / split, classes, window)
    if progress:
        progress("cutting", len(placed), len(placed))
    write_json(out / SLICES_FILE, about, indent=1)
    return counts


def _export_case(case: Case, out: Path, classes: Sequence[str], window: tuple[float, float]) -> int:
    """Writes one case, a list of its slices last; returns how many there are."""
    listed = out / "cases" / f"{case.name}.json"
    if listed.is_file():
        return len(json.loads(listed.read_text(encoding="utf-8")))
    scan = read_volume(case.scan)
    kinds = {"labels": case.labels}
    if case.prediction is not None:
        kinds["predictions"] = case.prediction
    stacks = {}
    for kind, path in kinds.items():
        volume = read_labels(path, scan)
        if volume.values.max() >= len(classes):
            raise DatasetError(
                f"{path} holds the label {volume.values.max()}, but dataset.json names only "
                f"{', '.join(f'{k} {name}' for k, name in enumerate(classes))}: are the files of one task?"
            )
        stacks[kind] = Slices(scan, volume.values, window)
    pictures = stacks["labels"]
    names = []
    for index, name in enumerate(pictures.names()):
        labels = {kind: stack.label(index) for kind, stack in stacks.items()}
        if index % _EMPTY_EVERY and not any(each.any() for each in labels.values()):
            continue
        write_bytes(out / "images" / f"{name}.png", encode_png(pictures.picture(index)[:, :, 0]))
        for kind, each in labels.items():
            write_bytes(out / kind / f"{name}.png", encode_png(each))
        names.append(name)
    write_json(listed, names)
    return len(names)


def _classes(path: Path) -> tuple[str, ...]:
    try:
        named: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["labels"]
        # Newer files have it the other way round: {"background": 0, "pancreas": 1}.
        pairs = [(int(k), str(v)) if str(k).isdecimal() else (int(v), str(k)) for k, v in named.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} names no structures ({error}): name the task's folder as unpacked, with its dataset.json"
        ) from error
    names = dict(pairs)
    if sorted(names) != list(range(len(names))) or len(names) < 2:
        raise DatasetError(f"{path} must number its labels 0, 1, 2 and so on; it has {sorted(names)}")
    return (BACKGROUND, *(names[code] for code in range(1, len(names))))


def _check_same(path: Path, about: dict[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        found = None
    if found != about:
        raise DatasetError(
            f"{path.parent} holds slices that were cut otherwise (window, structures, origin or predictions "
            "differ): choose another folder"
        )
