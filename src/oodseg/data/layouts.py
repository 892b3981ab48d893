"""Recognises which benchmark a folder holds from its layout."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.data import (
    anomaly_seg,
    exported,
    fishyscapes_static,
    lost_and_found,
    plain,
    road_anomaly,
    smiyc,
    synthetic,
)
from oodseg.data.files import by_name, folders_below
from oodseg.data.frames import BenchmarkSet, binary, is_binary

_DEPTH, _NAMED = 2, 5  # levels below a folder that are searched for others, and how many are named
_LARGEST_CODE = 65535


@dataclass(frozen=True)
class Layout:
    """One on-disk layout of a benchmark.

    Attributes:
        title: What people call the set.
        shape: The files that make it recognisable, for people.
        splits: What can be asked for; the first is taken if nothing is.
        matches: Whether a folder has this layout.
        read: Reads one split of a folder of this layout.
    """

    title: str
    shape: str
    splits: tuple[str, ...]
    matches: Callable[[Path], bool]
    read: Callable[[Path, str], BenchmarkSet]


_SMIYC_SHAPE = "images/validation*.{0}, labels_masks/validation*_labels_semantic.png"

# In the order they are tried: a more specific layout comes before a general one that also matches.
LAYOUTS: dict[str, Layout] = {
    "road_obstacle_21": Layout(
        "SMIYC RoadObstacle21",
        _SMIYC_SHAPE.format("webp"),
        ("validation", "test"),
        lambda root: smiyc.matches(root) and smiyc.is_obstacle(root),
        smiyc.read_obstacle,
    ),
    "road_anomaly_21": Layout(
        "SMIYC RoadAnomaly21",
        _SMIYC_SHAPE.format("jpg"),
        ("validation", "test"),
        smiyc.matches,
        smiyc.read_anomaly,
    ),
    "lost_and_found": Layout(
        "LostAndFound",
        "leftImg8bit/test/TOWN/*_leftImg8bit.png, gtCoarse/test/TOWN/*_gtCoarse_labelIds.png",
        ("test", lost_and_found.NO_KNOWN, "train"),
        lost_and_found.matches,
        lost_and_found.read,
    ),
    "fishyscapes_static": Layout(
        "Fishyscapes Static",
        "NNNN_NAME_rgb.npz, NNNN_NAME_labels.png, leftImg8bit/val (Cityscapes)",
        ("validation",),
        fishyscapes_static.matches,
        fishyscapes_static.read,
    ),
    "fishyscapes_lost_and_found": Layout(
        "Fishyscapes Lost & Found",
        "NNNN_NAME_labels.png, leftImg8bit/{train,test} (LostAndFound)",
        ("validation",),
        lost_and_found.fishyscapes_matches,
        lost_and_found.read_fishyscapes,
    ),
    "road_anomaly": Layout(
        "RoadAnomaly",
        "frames/NAME.jpg, frames/NAME.labels/labels_semantic.png",
        ("test",),
        road_anomaly.matches,
        road_anomaly.read,
    ),
    "street_hazards": Layout(
        "StreetHazards",
        "test.odgt, images/test/TOWN/*.png, annotations/test/TOWN/*.png",
        ("test",),
        anomaly_seg.street_hazards_matches,
        anomaly_seg.read_street_hazards,
    ),
    "bdd_anomaly": Layout(
        "BDD-Anomaly",
        "seg/images/{train,val}/*.jpg, seg/labels/{train,val}/*_train_id.png",
        ("test",),
        anomaly_seg.bdd_matches,
        anomaly_seg.read_bdd,
    ),
    "synthetic": Layout(
        "Drawn streets",
        "needs no download: `oodseg evaluate synthetic` draws it",
        (synthetic.VERSION,),
        synthetic.matches,
        synthetic.read,
    ),
    "plain": Layout(
        "Any images of your own",
        "images/NAME.jpg, labels/NAME.png or labels_masks/NAME.png (0, 1 or 2 = anomaly, 255 = ignore)",
        ("unknown",),
        plain.matches,
        plain.read,
    ),
    exported.KEY: Layout(
        "Labels out of a tool",
        "COCO, CVAT, Label Studio, LabelMe, ...: what `oodseg export-labels` writes",
        (exported.SPLIT,),
        exported.matches,
        exported.read,
    ),
}


def open_dataset(
    path: str | os.PathLike[str], split: str | None = None, anomaly_value: int | None = None
) -> BenchmarkSet:
    """Opens a benchmark folder, whichever layout it has.

    Args:
        path: The folder as it was unpacked.
        split: One of the layout's splits; None takes its first.
        anomaly_value: The code of anomalies in the labels, such as 255 where they hold 0 and 255 alone; None
            for the layout's own.

    Raises:
        DatasetError: No such folder, split or layout, or a fault in it; the message names the file.
        ConfigError: An anomaly value for labels that have more codes than one for anomalies.
    """
    root = Path(path)
    if not root.is_dir():
        if root.exists():
            raise DatasetError(f"{root} is a file: name the folder of a data set (unpack an archive first)")
        raise DatasetError(f"the data set folder {root} does not exist: check the path for typing errors")
    layout = layout_of(root)
    if layout is None:
        raise DatasetError(f"{root} has the layout of no known data set{_remedy(root)}")
    wanted = split or layout.splits[0]
    if wanted not in layout.splits:
        raise DatasetError(
            f"{layout.title} in {root} has no split '{wanted}': choose one of {', '.join(layout.splits)}"
        )
    found = layout.read(root, wanted)
    return found if anomaly_value is None else _with_anomaly(found, anomaly_value)


def layout_of(root: Path) -> Layout | None:
    """Returns the layout that a folder has, or None."""
    return next((layout for layout in LAYOUTS.values() if layout.matches(root)), None)


def _remedy(root: Path) -> str:
    """Names the folders near by that have a known layout: archives are often unpacked a level too deep."""
    near = [*folders_below(root, _DEPTH), root.resolve().parent]
    # Labels out of a tool may lie anywhere below: to look for them takes long.
    told = [layout for key, layout in LAYOUTS.items() if key != exported.KEY]
    fitting = ((folder, next((each for each in told if each.matches(folder)), None)) for folder in near)
    known = [(folder, layout.title) for folder, layout in fitting if layout is not None]
    kinds = sorted({path.suffix or path.name for path in by_name(root / "labels")})
    if not known and kinds:
        return (
            f": {root / 'labels'} holds no label images but {', '.join(kinds[:_NAMED])}; save one PNG of "
            "0, 1 and 255 per image there"
        )
    if not known:
        return (
            ": `oodseg datasets list` shows them; for images of your own make images/ and labels/, with one "
            "PNG of 0, 1 and 255 per image"
        )
    listed = ", ".join(f"{folder} ({title})" for folder, title in known[:_NAMED])
    return f", but near by there is {listed}: name {'that' if len(known) == 1 else 'such a'} folder"


def _with_anomaly(dataset: BenchmarkSet, value: int) -> BenchmarkSet:
    if not 1 <= value <= _LARGEST_CODE:
        raise ConfigError(
            f"the anomaly value {value} is not a label code: choose one of 1 to {_LARGEST_CODE}"
        )
    if not all(is_binary(frame.codes) and frame.draw is None for frame in dataset.frames):
        raise ConfigError(
            f"the labels of {dataset.title} in {dataset.root} have codes of their own: leave the anomaly "
            "value out"
        )
    frames = tuple(replace(frame, codes=binary(value)) for frame in dataset.frames)
    note = f"the label code {value} counts as anomaly, as was asked for"
    return replace(dataset, frames=frames, notes=(*dataset.notes, note))
