"""Listing the files of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from natsort import natsorted

from oodseg.core.errors import DatasetError
from oodseg.core.files import composed, is_hidden
from oodseg.io.discovery import files_below
from oodseg.io.formats import HEIF_SUFFIXES, SUFFIXES

_BROAD = 100  # folders of one level that are looked at


def by_name(folder: Path) -> list[Path]:
    """Files of a folder in natural order (`2.png` before `10.png`) but hidden ones; none if it is missing."""
    if not folder.is_dir():
        return []
    return natural(path for path in folder.iterdir() if not path.is_dir())  # a lost link is said to be one


def natural(paths: Iterable[Path]) -> list[Path]:
    """Sorts paths with runs of digits by value; hidden files and those of systems are left out."""
    return natsorted((path for path in paths if not is_hidden(path.name)), key=str)


def folders_below(root: Path, depth: int) -> list[Path]:
    """Lists the folders up to `depth` levels below one, in natural order; a broad tree is not seen whole."""
    found: list[Path] = []
    level = [root]
    for _ in range(depth):
        level = [path for folder in level for path in natural(_entries(folder)) if path.is_dir()][:_BROAD]
        found += level
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # not to be read, so nothing to be found
        return []


def is_image(path: Path) -> bool:
    """Tells whether a file has the suffix of an image; HEIC among them, whose reader says what it needs."""
    return path.suffix.lower() in SUFFIXES or path.suffix.lower() in HEIF_SUFFIXES


def images(folder: Path) -> dict[str, Path]:
    """Returns the images of a folder by stem, in natural order.

    Raises:
        DatasetError: Two images of one stem.
    """
    return keyed([path for path in by_name(folder) if is_image(path)], folder)


def images_below(folder: Path) -> dict[str, Path]:
    """Returns the images of a folder and all below it; see `keyed`."""
    return keyed([path for path in all_below(folder) if is_image(path)], folder)


def all_below(folder: Path) -> list[Path]:
    """Files of a folder and all below it, in natural order, but hidden ones; none if it is missing."""
    return natural(files_below(folder)) if folder.is_dir() else []


def keyed(paths: Iterable[Path], folder: Path, fault: str = "share one name") -> dict[str, Path]:
    """Returns files by their path below a folder without suffix: by stem, or `sub/stem`.

    Letters with accents are one character each, as Unicode composes them: file systems differ in that.

    Args:
        paths: The files.
        folder: The folder.
        fault: What the error says of two files of one name.

    Raises:
        DatasetError: Two files of one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        name = composed(path.relative_to(folder).with_suffix("").as_posix())
        if name in found:
            raise DatasetError(f"{found[name]} and {path} {fault}: remove one of them")
        found[name] = path
    return found


def image_of(stem: Path) -> Path | None:
    """Finds the image of that path whatever its suffix (copies are often converted), in any case; or None."""
    found = [path for suffix in sorted(SUFFIXES) if (path := stem.with_name(stem.name + suffix)).is_file()]
    # Listing a large folder takes a while, and capitals are rare.
    found = found or [
        path
        for path in by_name(stem.parent)
        if path.suffix.lower() in SUFFIXES and path.name[: -len(path.suffix)] == stem.name
    ]
    return found[0] if found else None


def label_of(path: Path) -> Path:
    """Finds the label of that path, whatever the case of its suffix; the path itself if there is none."""
    if path.is_file():
        return path
    found = [each for each in by_name(path.parent) if each.name.lower() == path.name.lower()]
    return next((each for each in found if each.stem == path.stem), path)
