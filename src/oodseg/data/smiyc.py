"""SegmentMeIfYouCan's two tracks as published (Chan et al., NeurIPS D&B 2021, arXiv 2104.14812).

`dataset_AnomalyTrack` and `dataset_ObstacleTrack` hold `images/` (JPEG, WebP) and
`labels_masks/NAME_labels_semantic.png` for the validation images only; the truth of the test images is
not published.
"""

from __future__ import annotations

from pathlib import Path

from oodseg.core.errors import DatasetError
from oodseg.data.files import by_name, images
from oodseg.data.frames import BINARY, BenchmarkSet, Frame

SUFFIX = "_labels_semantic.png"
_VALIDATION = "validation"
# The toolkit's validation split of the obstacle track: 30 of the 40 labelled images.
_OBSTACLE_EXTRA = frozenset(f"validation_{n}" for n in (19, *range(21, 30)))
_OBSTACLE_FRAMES = 30


def matches(root: Path) -> bool:
    """Tells whether the folder has `images/` and `labels_masks/`, with no labels but those of this layout."""
    if not ((root / "labels_masks").is_dir() and (root / "images").is_dir()):
        return False
    labels = by_name(root / "labels_masks")
    return not labels or any(_is_label(path) for path in labels)


def read_anomaly(root: Path, split: str) -> BenchmarkSet:
    """Lists RoadAnomaly21.

    Raises:
        DatasetError: A validation image without label, or none of that split.
    """
    return BenchmarkSet(
        "road_anomaly_21",
        "SMIYC RoadAnomaly21",
        split,
        root,
        _frames(root, split),
        "research; each image under its owner's terms, listed in the download",
        "anomaly",
        "road_anomaly_21",
    )


def read_obstacle(root: Path, split: str) -> BenchmarkSet:
    """Lists RoadObstacle21; see `read_anomaly`."""
    frames = _frames(root, split)
    if split == _VALIDATION and len(frames) > _OBSTACLE_FRAMES:
        frames = tuple(frame for frame in frames if frame.name not in _OBSTACLE_EXTRA)
    return BenchmarkSet(
        "road_obstacle_21",
        "SMIYC RoadObstacle21",
        split,
        root,
        frames,
        "research; see the terms in the download",
        "obstacle",
        "road_obstacle_21",
    )


def is_obstacle(root: Path) -> bool:
    """Tells the tracks apart: obstacle images are WebP, or the folder says so."""
    return "obstacle" in root.resolve().name.lower() or any(
        path.suffix.lower() == ".webp" for path in by_name(root / "images")
    )


def _is_label(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIX)


def _frames(root: Path, split: str) -> tuple[Frame, ...]:
    labels = {path.name[: -len(SUFFIX)]: path for path in by_name(root / "labels_masks") if _is_label(path)}
    found = images(root / "images")
    for name, path in labels.items():
        if name not in found:
            raise DatasetError(f"the label {path} has no image of that name in {root / 'images'}")
    names = [name for name in found if name.startswith(_VALIDATION) == (split == _VALIDATION)]
    if split == _VALIDATION:
        for name in names:
            if name not in labels:
                raise DatasetError(
                    f"the image {found[name]} has no label: {root / 'labels_masks' / name}{SUFFIX} is missing"
                )
    if not names:
        raise DatasetError(f"{root / 'images'} holds no image of the {split} split: check the path")
    return tuple(Frame(name, found[name], labels.get(name), BINARY) for name in names)
