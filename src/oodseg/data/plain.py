"""A plain folder: `images/` and `labels/` (or `labels/` alone), paired by name.

The copies of benchmarks that many papers pass around have this layout too, with numbered files: as
`original/` and `labels/`, or as `images/` and `labels_masks/` in the archive `Validation_Dataset` of
Mask2Anomaly (Rai et al., ICCV 2023) and what followed it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.core.input_warnings import name_few, warn_input
from oodseg.data.files import all_below, images_below, keyed
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
_TWO = "are labels of one image"


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
    found = images_below(folder)
    alone = [path for name, path in found.items() if name not in labels and "/" in name]
    for name, path in found.items():
        if name not in labels and "/" not in name:
            beside = next(iter(labels.values())).with_name(f"{path.stem}.png")
            raise DatasetError(f"the image {path} has no label: add {beside}, or remove the image")
    for name, path in labels.items() if found else ():
        if name not in found and "/" in name:
            alone.append(path)
        elif name not in found:
            raise DatasetError(
                f"the label {path} has no image of that name in {folder}: add it, or remove the label"
            )
    # What lies deeper may be of another kind: previews, other sizes.
    if alone:
        warn_input(
            f"{root}: {len(alone)} files in sub folders are passed over ({name_few(alone)}): an image and "
            "its label must lie in sub folders of one name"
        )
    labels = {name: path for name, path in labels.items() if not found or name in found}
    if not labels:
        raise DatasetError(f"no image in {folder} has a label of its name: check names and sub folders")
    table = ROAD_ANOMALY if _anomaly_code(list(labels.values())) == 2 else BINARY
    frames = tuple(Frame(name, found.get(name), path, table) for name, path in labels.items())
    benchmark = _benchmark(root.resolve().name)
    track = "obstacle" if benchmark == "road_obstacle_21" else "anomaly"
    return BenchmarkSet(
        "plain", root.resolve().name, split, root, frames, "as the data's publishers state", track, benchmark
    )


def _labels(root: Path) -> dict[str, Path]:
    """The labels by name, of the first subfolder that has some: PNGs, and other label images without.

    Raises:
        DatasetError: Two labels of one image.
    """
    folders = [root / name for name in ("images", "original") if (root / name).is_dir()]
    for folder in (root / "labels", root / "labels_masks"):
        files = [path for path in all_below(folder) if path.suffix.lower() in LABEL_SUFFIXES]
        pngs = [path for path in files if path.suffix.lower() == ".png"]
        others = [path for path in files if path.suffix.lower() != ".png"] if folders else []
        found = keyed(pngs, folder, _TWO)
        if found and others:  # may be previews: only those count without which an image has no label
            left_over = images_below(folders[0]).keys() - found.keys()
            others = [path for path in others if next(iter(keyed([path], folder))) in left_over]
        found |= keyed(others, folder, _TWO)
        if found:
            return found
    return {}


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
