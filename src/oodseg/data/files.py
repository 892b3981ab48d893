"""Listing the files of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from natsort import natsorted

from oodseg.core.errors import DatasetError
from oodseg.core.files import is_hidden
from oodseg.io.formats import SUFFIXES

_BROAD = 100  # folders of one level that are looked at


def by_name(folder: Path) -> list[Path]:
    """Files of a folder in natural order (`2.png` before `10.png`) but hidden ones; none if it is missing."""
    if not folder.is_dir():
        return []
    return natural(path for path in folder.iterdir() if path.is_file())


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


def images(folder: Path) -> dict[str, Path]:
    """Returns the images of a folder by stem, in natural order.

    Raises:
        DatasetError: Two images of one stem.
    """
    found: dict[str, Path] = {}
    for path in by_name(folder):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise DatasetError(f"{found[path.stem]} and {path} share one name: remove one of them")
            found[path.stem] = path
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
