"""Writes labels in the format of a tool, and reads them back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.input_warnings import name_few
from oodseg.core.prediction import Prediction
from oodseg.core.progress import Progress, track
from oodseg.core.registry import names, resolve, table
from oodseg.exchange.earlier import EarlierExport, files_below, written_since
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
        notes: What the format could not hold, and what became of an earlier export into the folder, one
            sentence each.
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
        ConfigError: No such format, images that would share one name, or labels there that are of another
            format, or were corrected since they were exported.
        DatasetError: No results in that folder, or none that can be read, or picks of other results.
        ImageError: An image is gone.
        MissingDependencyError: The format needs a library that is not installed.
        OodsegError: A file cannot be written.
    """
    chosen, target = format_of(format), Path(out)
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is a file: choose a folder for the labels")
    there = formats_in(target)
    if there and chosen not in there:
        raise ConfigError(f"{target} holds labels of {there[0].title} already: choose another folder (--out)")
    if isinstance(source, str | os.PathLike):
        labelled = read_results(Path(source))
    else:
        labelled = [from_prediction(each) if isinstance(each, Prediction) else each for each in source]
    if picks is not None:
        labelled = keep_picked(labelled, Path(picks))
    check_names(labelled)
    earlier = EarlierExport(target, chosen.title)
    earlier.begin()
    before = files_below(target)
    labels_before = list(chosen.files(target)) if chosen.files is not None else []
    placed = {}
    if chosen.place is not None:
        placed = {target / chosen.place(image.name): image for image in labelled}
        for path, image in track(list(placed.items()), "placing images", progress):
            place_image(image, path, images)
    notes = list(chosen.write(track(labelled, "writing labels", progress), target))
    written = written_since(before, files_below(target))
    if not chosen.submission:  # servers look at every file
        notes += earlier.settle(written, placed)
    notes += _left_there(target, [file for file in labels_before if file not in written and file.exists()])
    return Export(
        target, chosen.title, len(labelled), sum(len(each.objects) for each in labelled), tuple(notes)
    )


def _left_there(root: Path, files: Iterable[Path]) -> list[str]:
    """Says which labels an earlier export left behind, without reading them."""
    left = sorted(file.relative_to(root).as_posix() for file in files)
    if not left:
        return []
    images = "1 image that is" if len(left) == 1 else f"{len(left)} images that are"
    return [
        f"{root} also holds labels of {images} not among these ({name_few(left)}), from an earlier export: "
        "remove them, or choose another folder"
    ]


def read(folder: str | os.PathLike[str], format: str | None = None) -> list[LabelledImage]:
    """Reads labels that a tool or `write` wrote.

    Args:
        folder: The labels as the tool exported them, unpacked.
        format: Its name; None to find out.

    Raises:
        ConfigError: No such format.
        DatasetError: The folder is of no known format, of several, or damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DatasetError(f"the folder {root} does not exist: check the path for typing errors")
    if format is not None:
        return format_of(format).read(root)
    found = formats_in(root)
    if not found:
        known = ", ".join(names(ROOM))
        raise DatasetError(f"{root} holds labels of no known format ({known}): name the format")
    return the_one(found, root).read(root)


def formats_in(root: Path) -> list[Format]:
    """Finds the formats of the labels in a folder; none if it does not exist."""
    return [found for found in map(format_of, names(ROOM)) if root.is_dir() and found.matches(root)]


def the_one(found: Sequence[Format], root: Path) -> Format:
    """Returns the only format in a folder.

    Raises:
        DatasetError: There are several, and only one of them may have been corrected.
    """
    if len(found) > 1:
        titles = " and ".join(each.title for each in found)
        raise DatasetError(f"{root} holds labels of {titles}: leave one of them there")
    return found[0]
