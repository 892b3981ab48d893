"""Finds the score map of every image in a folder, by name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from oodseg.core.errors import ScoreMapError
from oodseg.core.files import composed
from oodseg.io.scoremaps import SUFFIXES

_RARELY = frozenset({".csv", ".pt"})  # beside score maps of other kinds these hold something else


class ScoreFiles:
    """The score maps in a folder and below it; every folder is listed once.

    Args:
        folder: Where the score maps lie.
        images: Files there that are the images themselves, and so no score maps.

    Raises:
        ScoreMapError: No such folder.
    """

    def __init__(self, folder: str | os.PathLike[str], images: Iterable[Path] = ()) -> None:
        self.folder = Path(folder)
        self._images = {os.path.abspath(path) for path in images}
        if not self.folder.is_dir():
            raise ScoreMapError(
                f"the score map folder {self.folder} does not exist: check the path for typing errors"
            )
        self._listed: dict[Path, dict[str, list[Path]]] = {}

    def find(self, *names: str) -> Path:
        """Finds the score map of an image.

        Args:
            names: The image's name without suffix, tried in turn: its path below the images' common folder
                (`town/0001`), then its stem alone (`0001`). Suffixes may be in capitals.

        Raises:
            ScoreMapError: No map of that name, or several.
        """
        for name in names:
            path = self.folder / name
            found = self._by_stem(path.parent).get(composed(path.name), [])
            found = [each for each in found if each.suffix.lower() not in _RARELY] or found
            if len(found) > 1:
                listed = ", ".join(each.name for each in found)
                raise ScoreMapError(
                    f"{self.folder} holds several score maps for '{name}' ({listed}): keep one of them"
                )
            if found:
                return found[0]
        raise ScoreMapError(
            f"{self.folder} holds no score map named '{names[-1]}' ({', '.join(SUFFIXES)}): "
            "name each score map like its image"
        )

    def holds(self, path: Path) -> bool:
        """Tells whether a file is none of the images."""
        return os.path.abspath(path) not in self._images

    def _by_stem(self, folder: Path) -> dict[str, list[Path]]:
        """The score maps directly in a folder, by file name without suffix."""
        if folder not in self._listed:
            found = self._listed[folder] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.suffix.lower() in SUFFIXES and self.holds(path) and path.is_file():
                    found.setdefault(composed(path.stem), []).append(path)
        return self._listed[folder]
