"""RoadAnomaly as published (Lis et al., ICCV 2019).

`frames/NAME.jpg` with `frames/NAME.labels/labels_semantic.png`.
"""

from __future__ import annotations

from pathlib import Path

from oodseg.core.errors import DatasetError
from oodseg.data.files import image_of, label_of, natural
from oodseg.data.frames import ROAD_ANOMALY, BenchmarkSet, Frame


def matches(root: Path) -> bool:
    """Tells whether `frames/` holds label folders."""
    return bool(natural((root / "frames").glob("*.labels")))


def read(root: Path, split: str) -> BenchmarkSet:
    """Lists the frames; label code 2 is the anomaly.

    Raises:
        DatasetError: An image without label or the reverse.
    """
    frames = []
    for folder in natural((root / "frames").glob("*.labels")):
        name = folder.name.removesuffix(".labels")
        label = label_of(folder / "labels_semantic.png")
        if not label.is_file():
            raise DatasetError(f"the label {label} is missing: unpack the set again")
        image = image_of(folder.with_name(name))
        if image is None:
            raise DatasetError(
                f"the label {label} has no image {folder.with_name(name)}.jpg: unpack the set again"
            )
        frames.append(Frame(name, image, label, ROAD_ANOMALY))
    return BenchmarkSet(
        "road_anomaly",
        "RoadAnomaly",
        split,
        root,
        tuple(frames),
        "research; images from the web, each under its owner's terms",
        "anomaly",
        "road_anomaly",
    )
