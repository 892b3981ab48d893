"""A plain folder: `images/` and `labels/` (or `labels/` alone), paired by name.

The Fishyscapes and RoadAnomaly copies that many papers pass around (`original/` and `labels/`, numbered
files) have this layout too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.data.files import by_name, images
from oodseg.data.frames import BINARY, ROAD_ANOMALY, BenchmarkSet, Frame
from oodseg.io.labels import read_label

# Told from the folder's name, letters and digits only; the first word found wins.
_BENCHMARKS = (
    ("obstacle", "road_obstacle_21"),
    ("static", "fishyscapes_static"),
    ("lostandfound", "fishyscapes_lost_and_found"),
    ("fslaf", "fishyscapes_lost_and_found"),
    ("anomalytrack", "road_anomaly_21"),
    ("roadanomaly21", "road_anomaly_21"),
    ("roadanomaly", "road_anomaly"),
)


def matches(root: Path) -> bool:
    """Tells whether the folder has a `labels/` subfolder with PNGs in it."""
    return any(path.suffix.lower() == ".png" for path in by_name(root / "labels"))


def read(root: Path, split: str) -> BenchmarkSet:
    """Lists the frames of a plain folder.

    Labels hold 0 in-distribution, 255 ignore, and either 1 or 2 as anomaly, the same throughout: which of the
    two is found by looking.

    Raises:
        DatasetError: A label without image or an image without label.
    """
    labels = {path.stem: path for path in by_name(root / "labels") if path.suffix.lower() == ".png"}
    folder = root / "images" if (root / "images").is_dir() else root / "original"
    found = images(folder)
    for stem, path in found.items():
        if stem not in labels:
            raise DatasetError(f"the image {path} has no label: {root / 'labels' / stem}.png is missing")
    for stem, path in labels.items():
        if found and stem not in found:
            raise DatasetError(f"the label {path} has no image of that name in {folder}")
    table = ROAD_ANOMALY if _anomaly_code(list(labels.values())) == 2 else BINARY
    frames = tuple(Frame(stem, found.get(stem), path, table) for stem, path in labels.items())
    benchmark = _benchmark(root.resolve().name)
    track = "obstacle" if benchmark == "road_obstacle_21" else "anomaly"
    return BenchmarkSet(
        "plain", root.resolve().name, split, root, frames, "as the data's publishers state", track, benchmark
    )


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
