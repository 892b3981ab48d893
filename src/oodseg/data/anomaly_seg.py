"""StreetHazards and BDD-Anomaly (Hendrycks et al., ICML 2022, arXiv 1911.11132).

StreetHazards lists its frames in `test.odgt`: JSON records with `fpath_img` and `fpath_segm`. Label codes are
1 to 13 for the known classes and 14 for anomalies. BDD-Anomaly is made of BDD100K's images that hold
trains, motorcycles or bicycles (train ids 16 to 18, which its networks never saw), listed in `anom.odgt` or
found by looking; 255 is ignored.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.core.texts import read_text
from oodseg.data.files import image_of, natural
from oodseg.data.frames import BenchmarkSet, Frame, codes
from oodseg.io.labels import read_label

STREET_HAZARDS = codes(normal=tuple(range(1, 14)), anomaly=(14,))
BDD = codes(normal=tuple(range(16)), anomaly=(16, 17, 18), ignore=(255,))
_LIST, _BDD_LIST, _BDD_LABEL = "test.odgt", "anom.odgt", "_train_id.png"


def street_hazards_matches(root: Path) -> bool:
    """Tells whether the folder, or its `test/`, holds the list."""
    return any((folder / _LIST).is_file() for folder in (root, root / "test"))


def read_street_hazards(root: Path, split: str) -> BenchmarkSet:
    """Lists StreetHazards' test images.

    Raises:
        DatasetError: A broken list, or a file in it that is missing.
    """
    folder = next(folder for folder in (root, root / "test") if (folder / _LIST).is_file())
    frames = []
    for entry, label in _pairs(folder / _LIST):
        name = str(entry.with_suffix(""))
        image, truth = (_locate(root, folder, path, folder / _LIST) for path in (entry, label))
        frames.append(Frame(name, image, truth, STREET_HAZARDS))
    return BenchmarkSet(
        "street_hazards",
        "StreetHazards",
        split,
        root,
        tuple(frames),
        "research; see the terms in the download",
        "anomaly",
    )


def bdd_matches(root: Path) -> bool:
    """Tells whether the folder holds BDD100K's segmentation images."""
    return (root / "seg" / "images").is_dir()


def read_bdd(root: Path, split: str) -> BenchmarkSet:
    """Lists BDD-Anomaly's test images.

    Raises:
        DatasetError: A missing file, or no image with an anomaly.
    """
    frames = []
    if (root / _BDD_LIST).is_file():
        for entry, label in _pairs(root / _BDD_LIST):
            listed, truth = (_locate(root, root, path, root / _BDD_LIST) for path in (entry, label))
            frames.append(Frame(entry.stem, listed, truth, BDD))
    else:
        for label in natural(
            path for kind in ("labels", "train_labels") for path in (root / "seg" / kind).rglob("*.*")
        ):
            if not label.name.lower().endswith(_BDD_LABEL):
                continue
            if not np.isin(read_label(label), (16, 17, 18)).any():
                continue
            stem = label.name[: -len(_BDD_LABEL)]
            image = image_of(root / "seg" / "images" / label.parent.name / stem)
            if image is None:
                raise DatasetError(f"the label {label} has no image in {root / 'seg' / 'images'}")
            frames.append(Frame(stem, image, label, BDD))
    if not frames:
        raise DatasetError(
            f"{root / 'seg'} holds no label with a train, motorcycle or bicycle: check the path"
        )
    licence = "BDD100K terms: research, non-commercial"
    return BenchmarkSet("bdd_anomaly", "BDD-Anomaly", split, root, tuple(frames), licence, "anomaly")


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    """Image and label paths of an `.odgt` list: one JSON array, or one record per line."""
    text = read_text(path)
    try:
        records = json.loads(text)
    except json.JSONDecodeError:
        try:
            records = [json.loads(line) for line in text.split("\n") if line.strip()]
        except json.JSONDecodeError as error:
            raise DatasetError(f"{path} is not a list of frames ({error}): unpack the set again") from error
    if isinstance(records, dict):
        records = [records]
    try:
        return [(Path(record["fpath_img"]), Path(record["fpath_segm"])) for record in records]
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} has a record without fpath_img or fpath_segm: unpack the set again"
        ) from error


def _locate(root: Path, folder: Path, path: Path, listed_in: Path) -> Path:
    """Lists were written beside, above or inside the `test/` folder: takes whichever holds the file."""
    for parent in (folder, root, folder.parent):
        if (parent / path).is_file():
            return parent / path
    raise DatasetError(f"{folder / path} is missing though {listed_in} lists it: unpack the set again")
