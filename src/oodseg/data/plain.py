"""A plain folder: `images/` and `labels/` (or `labels/` alone), paired by name.

The copies of benchmarks that many papers pass around have this layout too, with numbered files: as
`original/` and `labels/`, or as `images/` and `labels_masks/` in the archive `Validation_Dataset` of
Mask2Anomaly (Rai et al., ICCV 2023) and what followed it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.data.files import by_name, images
from oodseg.data.frames import BINARY, ROAD_ANOMALY, BenchmarkSet, Frame
from oodseg.io.labels import LABEL_SUFFIXES, read_label

# Told from the folder's name, letters and digits only; the first word found wins.
_BENCHMARKS = (
    ("obstacle", "road_obstacle_21"),
    ("obsticle", "road_obstacle_21"),
    ("static", "fishyscapes_static"),
    ("lostandfound", "fishyscapes_lost_and_found"),
    ("lostfound", "fishyscapes_lost_and_found"),
    ("fslaf", "fishyscapes_lost_and_found"),
    ("anomalytrack", "road_anomaly_21"),
    ("roadanomaly21", "road_anomaly_21"),
    ("roadanomaly", "road_anomaly"),
)


def matches(root: Path) -> bool:
    """Tells whether the folder has a subfolder for labels with PNGs in it, or other images beside those."""
    return bool(_labels(root))


def read(root: Path, split: str) -> BenchmarkSet:
    """Lists the frames of a plain folder.

    Labels hold 0 in-distribution, 255 ignore, and either 1 or 2 as anomaly, the same throughout: which of the
    two is found by looking.

    Raises:
        DatasetError: A label without image, an image without label, or with two.
    """
    labels = _labels(root)
    folder = root / "images" if (root / "images").is_dir() else root / "original"
    found = images(folder)
    for stem, path in found.items():
        if stem not in labels:
            beside = next(iter(labels.values())).with_name(f"{stem}.png")
            raise DatasetError(f"the image {path} has no label: add {beside}, or remove the image")
    for stem, path in labels.items():
        if found and stem not in found:
            raise DatasetError(
                f"the label {path} has no image of that name in {folder}: add it, or remove the label"
            )
    table = ROAD_ANOMALY if _anomaly_code(list(labels.values())) == 2 else BINARY
    frames = tuple(Frame(stem, found.get(stem), path, table) for stem, path in labels.items())
    benchmark = _benchmark(root.resolve().name)
    track = "obstacle" if benchmark == "road_obstacle_21" else "anomaly"
    return BenchmarkSet(
        "plain", root.resolve().name, split, root, frames, "as the data's publishers state", track, benchmark
    )


def _labels(root: Path) -> dict[str, Path]:
    """The labels by stem, of the first subfolder that has some: PNGs, or other label images without."""
    for folder in (root / "labels", root / "labels_masks"):
        files = by_name(folder)
        found = [path for path in files if path.suffix.lower() == ".png"]
        if not found and any((root / name).is_dir() for name in ("images", "original")):
            found = [path for path in files if path.suffix.lower() in LABEL_SUFFIXES]
        if found:
            return _by_stem(found)
    return {}


def _by_stem(labels: list[Path]) -> dict[str, Path]:
    """The labels by stem.

    Raises:
        DatasetError: Two labels of one stem.
    """
    found: dict[str, Path] = {}
    for path in labels:
        if path.stem in found:
            raise DatasetError(f"{found[path.stem]} and {path} are labels of one image: remove one of them")
        found[path.stem] = path
    return found


def _benchmark(folder_name: str) -> str | None:
    letters = "".join(c for c in folder_name.lower() if c.isalnum())
    return next((key for word, key in _BENCHMARKS if word in letters), None)


def _anomaly_code(labels: list[Path]) -> int:
    """1 or 2, from the first label that holds either; 1 where none does."""
    for path in labels:
        values = read_label(path)
        one, two = bool(np.any(values == 1)), bool(np.any(values == 2))
        if one and two:
            raise DatasetError(
                f"{path} holds both 1 and 2 as label codes: anomalies must have one code, 1 or 2, in all "
                "labels"
            )
        if one or two:
            return 2 if two else 1
    return 1
