"""LostAndFound as published (Pinggera et al., IROS 2016), and Fishyscapes' relabelling of 100 of its frames.

LostAndFound has `leftImg8bit/SPLIT/TOWN/NAME_leftImg8bit.png` and
`gtCoarse/SPLIT/TOWN/NAME_gtCoarse_labelIds.png` with 0 unlabelled, 1 free space and 2 to 43 the obstacles.
All obstacles count as anomalies, everything but free space and obstacles is ignored, and frames whose label
is empty are left out, as in SegmentMeIfYouCan. Its split `test-no-known` also leaves out the sequences with
children and bicycles, which are known classes.

Fishyscapes Lost & Found (Blum et al., IJCV 2021, arXiv 1904.03215) is published as labels alone,
`NNNN_NAME_labels.png`; the images are LostAndFound's. SegmentMeIfYouCan measures it by the rules of its
anomaly track.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from oodseg.core.errors import DatasetError
from oodseg.data.files import by_name, image_of, label_of, natural
from oodseg.data.frames import BINARY, BenchmarkSet, Frame, codes
from oodseg.io.labels import read_label

LABEL_IDS = codes(normal=(1,), anomaly=tuple(range(2, 44)), ignore=(0, 255))
_IMAGE, _LABEL = "_leftImg8bit", "_gtCoarse_labelIds.png"
_KNOWN_CLASSES = (
    "15_Rechbergstr_Deckenpfronn",  # children
    "01_Hanns_Klemm_Str_45_000006",  # a bicycle
    "01_Hanns_Klemm_Str_45_000007",
    "10_Schlossberg_9_000004",
)
NO_KNOWN = "test-no-known"
LICENCE = "Daimler AG, non-commercial"


def matches(root: Path) -> bool:
    """Tells whether the folder has LostAndFound's two trees."""
    return (root / "leftImg8bit").is_dir() and (root / "gtCoarse").is_dir()


def read(root: Path, split: str) -> BenchmarkSet:
    """Lists a split of LostAndFound: `test`, `test-no-known` or `train`.

    Raises:
        DatasetError: An image without label, or none at all.
    """
    folder = "test" if split == NO_KNOWN else split
    frames = []
    for image in natural((root / "leftImg8bit" / folder).glob(f"*/*{_IMAGE}.*")):
        name = image.stem.removesuffix(_IMAGE)
        if split == NO_KNOWN and name.startswith(_KNOWN_CLASSES):
            continue
        label = label_of(root / "gtCoarse" / folder / image.parent.name / f"{name}{_LABEL}")
        if read_label(label).any():
            frames.append(Frame(name, image, label, LABEL_IDS))
    if not frames:
        raise DatasetError(f"{root / 'leftImg8bit' / folder} holds no labelled image: check the path")
    title = "LostAndFound" + (" (NoKnown)" if split == NO_KNOWN else "")
    return BenchmarkSet("lost_and_found", title, split, root, tuple(frames), LICENCE, "obstacle")


def fishyscapes_matches(root: Path) -> bool:
    """Tells whether the folder, or its `fishyscapes_lostandfound/`, holds Fishyscapes' numbered labels."""
    return bool(_fishyscapes_labels(root))


def read_fishyscapes(root: Path, split: str) -> BenchmarkSet:
    """Lists Fishyscapes Lost & Found; images are looked for in `leftImg8bit/` in or beside the folder."""
    labels = _fishyscapes_labels(root)
    trees = [
        tree
        for parent in (root, root / "lostandfound", root / "LostAndFound", root.resolve().parent)
        for part in ("train", "test")
        if (tree := parent / "leftImg8bit" / part).is_dir()
    ]
    frames = []
    for path in labels:
        name = path.stem.removesuffix("_labels").partition("_")[2]
        town = name.rsplit("_", 2)[0]
        found = [p for tree in trees if (p := image_of(tree / town / f"{name}{_IMAGE}"))]
        if trees and not found:
            raise DatasetError(f"the label {path} has no image {name}{_IMAGE} in {trees[0].parent}")
        frames.append(Frame(name, found[0] if found else None, path, BINARY))
    return BenchmarkSet(
        "fishyscapes_lost_and_found",
        "Fishyscapes Lost & Found",
        split,
        root,
        tuple(frames),
        f"labels: see fishyscapes.com; images: {LICENCE}",
        "anomaly",
        "fishyscapes_lost_and_found",
    )


def _fishyscapes_labels(root: Path) -> list[Path]:
    for folder in (root, root / "fishyscapes_lostandfound"):
        found = [
            path
            for path in by_name(folder)
            if path.name.lower().endswith("_labels.png") and path.name.partition("_")[0].isdecimal()
        ]
        # The static set's labels come with overlays of the same number.
        if found and not any(fnmatch(path.name, "*_rgb.np*") for path in by_name(folder)):
            return found
    return []
