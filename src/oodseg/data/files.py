"""Listing the files of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from natsort import natsorted

from oodseg.core.errors import DatasetError
from oodseg.io.formats import SUFFIXES


def by_name(folder: Path) -> list[Path]:
    """Files of a folder in natural order (`2.png` before `10.png`) but hidden ones; none if it is missing."""
    if not folder.is_dir():
        return []
    return natural(path for path in folder.iterdir() if path.is_file())


def natural(paths: Iterable[Path]) -> list[Path]:
    """Sorts paths with runs of digits by value; hidden files, macOS's `._NAME` among them, are left out."""
    return natsorted((path for path in paths if not path.name.startswith(".")), key=str)


def images(folder: Path) -> dict[str, Path]:
    """Images of a folder by stem, in natural order.

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
    """The image of that path whatever its suffix (copies are often converted), or None."""
    found = [path for suffix in sorted(SUFFIXES) if (path := stem.with_name(stem.name + suffix)).is_file()]
    return found[0] if found else None
