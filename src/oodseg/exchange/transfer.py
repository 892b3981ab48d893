"""Writes labels in the format of a tool, and reads them back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.prediction import Prediction
from oodseg.core.progress import Progress, track
from oodseg.core.registry import names, resolve, table
from oodseg.exchange.format import Format
from oodseg.exchange.images import Placement, check_names, place_image
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.picks import keep_picked
from oodseg.exchange.results import from_prediction, read_results

ROOM = "formats"


@dataclass(frozen=True)
class Export:
    """Sums up what was written.

    Attributes:
        out: The folder.
        title: What people call the format.
        images: Images, those without an object included.
        objects: Unknown objects in them.
        notes: What the format could not hold, one sentence each.
    """

    out: Path
    title: str
    images: int
    objects: int
    notes: tuple[str, ...]


def format_of(name: str) -> Format:
    """Finds a format by name.

    Raises:
        ConfigError: There is none of that name; the message lists those that exist.
    """
    found: Format = resolve(table(ROOM), ROOM, name)
    return found


def write(
    source: str | os.PathLike[str] | Iterable[LabelledImage | Prediction],
    out: str | os.PathLike[str],
    format: str = "coco",
    *,
    images: Placement = "copy",
    picks: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Export:
    """Writes labels in the format of a tool.

    Args:
        source: The folder of a finished `oodseg predict`, or labelled images, or predictions.
        out: Folder to write to; made if missing.
        format: Its name, as `oodseg export-labels --help` lists them.
        images: What becomes of the images: `"copy"`, `"link"` (symbolic links) or `"none"`.
        picks: What was picked in the gallery of `oodseg mine`: only objects that were kept are written, and
            images that hold one.
        progress: Told after every image.

    Returns:
        Counts, and what the format could not hold.

    Raises:
        ConfigError: No such format, or images that would share one name.
        DatasetError: No results in that folder, or none that can be read, or picks of other results.
        ImageError: An image is gone.
        MissingDependencyError: The format needs a library that is not installed.
        OodsegError: A file cannot be written.
    """
    chosen, target = format_of(format), Path(out)
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is a file: choose a folder for the labels")
    if isinstance(source, str | os.PathLike):
        labelled = read_results(Path(source))
    else:
        labelled = [from_prediction(each) if isinstance(each, Prediction) else each for each in source]
    if picks is not None:
        labelled = keep_picked(labelled, Path(picks))
    check_names(labelled)
    if chosen.place is not None:
        for image in track(labelled, "placing images", progress):
            place_image(image, target / chosen.place(image.name), images)
    notes = chosen.write(track(labelled, "writing labels", progress), target)
    return Export(
        target, chosen.title, len(labelled), sum(len(each.objects) for each in labelled), tuple(notes)
    )


def read(folder: str | os.PathLike[str], format: str | None = None) -> list[LabelledImage]:
    """Reads labels that a tool or `write` wrote.

    Args:
        folder: The labels as the tool exported them, unpacked.
        format: Its name; None to find out.

    Raises:
        ConfigError: No such format.
        DatasetError: The folder is of no known format, or damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DatasetError(f"the folder {root} does not exist: check the path for typing errors")
    if format is not None:
        return format_of(format).read(root)
    for name in names(ROOM):
        if (known := format_of(name)).matches(root):
            return known.read(root)
    raise DatasetError(f"{root} holds labels of no known format ({', '.join(names(ROOM))}): name the format")
