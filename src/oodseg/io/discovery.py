"""Finds images: files, folders with all that lies below them, patterns, lists; and says what it passes over.

Links to folders are followed, every folder once. The results of a run are never taken for images: beside
them lies a file `run.json` that names them.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from natsort import natsorted, ns

from oodseg.core.errors import ImageError
from oodseg.core.files import is_hidden, is_system_file
from oodseg.core.input_warnings import warn_input
from oodseg.core.installing import install_extra
from oodseg.core.run_file import results_in
from oodseg.io.formats import HEIF_SUFFIXES, SUFFIXES, is_readable
from oodseg.io.lists import may_be_list, read_list

_TABLES = frozenset({".csv", ".tsv", ".parquet", ".json", ".jsonl"})
_NAMED = 3  # how many of each kind a summary names


class Skipped(Enum):
    """Why something is passed over: what one and what several of that kind are called."""

    HEIF = ("HEIC image that needs `{heif}`", "HEIC images that need `{heif}`")
    NO_IMAGE = ("file that is no image", "files that are no images")
    HIDDEN = ("hidden or system file", "hidden or system files")
    HIDDEN_FOLDER = ("hidden or system folder", "hidden or system folders")
    RESULTS = ("folder of results", "folders of results")
    AGAIN = ("link to a folder that is searched anyway", "links to folders that are searched anyway")
    LOCKED = ("folder that cannot be read", "folders that cannot be read")


@dataclass
class Discovery:
    """Holds the images that were found, and what was passed over.

    Attributes:
        paths: The images in natural order (`2.png` before `10.png`), each once.
        skipped: What was passed over, by reason, each once.
    """

    paths: list[Path] = field(default_factory=list)
    skipped: dict[Skipped, dict[Path, None]] = field(default_factory=dict)

    def skip(self, reason: Skipped, path: Path) -> None:
        """Notes that a file or folder is passed over."""
        self.skipped.setdefault(reason, {})[path] = None

    @property
    def summary(self) -> str | None:
        """One line that counts and names what was passed over; None if that is nothing."""
        kinds = [_phrase(reason, list(self.skipped[reason])) for reason in Skipped if reason in self.skipped]
        return f"passed over: {'; '.join(kinds)}" if kinds else None


def _phrase(reason: Skipped, paths: list[Path]) -> str:
    one, several = reason.value
    names = [path.name for path in paths[:_NAMED]]
    if len(paths) > _NAMED:
        names.append(f"and {len(paths) - _NAMED} more")
    kind = (one if len(paths) == 1 else several).replace("{heif}", install_extra("heif"))
    return f"{len(paths)} {kind} ({', '.join(names)})"


def find_images(paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str]) -> list[Path]:
    """Lists images as `discover` does; an `InputWarning` says what was passed over."""
    found = discover(paths)
    if found.summary is not None:
        warn_input(found.summary)
    return found.paths


def named_images(images: Any) -> Iterable[Any]:
    """Lists the images of a path or a pattern; anything else is handed back, as images already."""
    if isinstance(images, str | os.PathLike):
        return find_images(images)
    items: Iterable[Any] = images
    return items


def discover(paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str]) -> Discovery:
    """Finds images.

    Args:
        paths: Files (taken whatever their suffix, unless an operating system leaves them everywhere), folders
            (searched with all below them for image suffixes; hidden files left out), glob patterns (`**`
            included), and lists of any of these, one per line: text files (see `oodseg.io.lists`), or `-` for
            standard input.

    Raises:
        ImageError: A path that is empty or does not exist, a folder without an image, a pattern without a
            match, an empty list, nothing but a table.
    """
    arguments = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    search = _Search()
    found: dict[str, Path] = {}
    for argument in arguments:
        for path in search.expand(os.fspath(argument), alone=len(arguments) == 1):
            found.setdefault(os.path.abspath(path), path)
    if arguments and not found:
        raise ImageError(f"there is no image among the files named{search.but()}: name images, or folders")
    search.result.paths = natsorted(found.values(), key=lambda path: path.parts, alg=ns.IGNORECASE)
    return search.result


def files_below(top: Path, result: Discovery | None = None) -> Iterator[Path]:
    """Gives every file in a folder and below it, links to folders followed and every folder searched once.

    Args:
        top: The folder.
        result: Notes what is passed over: hidden folders and the results of runs.
    """
    noted = Discovery() if result is None else result
    seen: set[str] = set()
    # Links come last, so that a folder goes by its own name where it has one below `top`.
    folders, links = [top], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            noted.skip(Skipped.AGAIN, folder)
            continue
        seen.add(real)
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            noted.skip(Skipped.LOCKED, folder)
            continue
        results = results_in(folder)
        for path in (folder / name for name in names):
            if path.name in results:
                noted.skip(Skipped.RESULTS, folder)
            elif not os.path.isdir(path):
                yield path
            elif is_hidden(path.name):
                noted.skip(Skipped.HIDDEN_FOLDER, path)
            else:
                (links if path.is_symlink() else folders).append(path)


class _Search:
    """Looks through files and folders, and keeps account of what it passes over."""

    def __init__(self) -> None:
        self.result = Discovery()
        self._results_in = cache(results_in)
        self._real = cache(os.path.realpath)

    def but(self) -> str:
        """Words what was passed over, as an addition to an error."""
        return "" if self.result.summary is None else f" ({self.result.summary})"

    def expand(self, argument: str, alone: bool) -> list[Path]:
        """The images that an argument stands for.

        Args:
            argument: Path, pattern or list.
            alone: Whether it is the only one. Beside others, a text file that is no list is passed over: a
                shell makes `photos/*` of all that lies there.
        """
        if not argument:
            # Never the working folder: most often a variable of a shell that is not set.
            raise ImageError("one of the paths is empty: name an image, or . for the working folder")
        if alone and Path(argument).suffix.lower() in _TABLES and os.path.isfile(argument):
            raise ImageError(
                f"{argument} is a table, not an image: list the images, one per line, in a .txt file; tables "
                "are for --engine ray"
            )
        if not may_be_list(argument):
            return self._expand(argument)
        try:
            entries = read_list(argument)
        except ImageError:
            if alone:
                raise
            self.result.skip(Skipped.NO_IMAGE, Path(argument))
            return []
        # A file that is gone is reported when its turn comes, like one that is broken.
        return [image for each in entries for image in self._entry(each)]

    def _entry(self, entry: str) -> list[Path]:
        is_file = not glob.has_magic(entry) and not os.path.isdir(entry)
        return [Path(entry)] if is_file else self._expand(entry)

    def _expand(self, argument: str) -> list[Path]:
        path = Path(argument)
        if os.path.isdir(path):  # unlike Path.is_dir silent about names that no file system can hold
            images = [image for each in files_below(path, self.result) for image in self._image(each)]
            if not images:
                known = ", ".join(sorted(SUFFIXES))
                raise ImageError(f"the folder {path} holds no image ({known}){self.but()}: check the path")
            return images
        if os.path.lexists(path):
            if is_system_file(path.name):
                self.result.skip(Skipped.HIDDEN, path)
                return []
            return [path]
        if not glob.has_magic(argument):
            raise ImageError(f"{path} does not exist: check the path for typing errors")
        images = self._matches(argument)
        if not images:
            raise ImageError(
                f"the pattern {argument} matches no image{self.but()}: check it, and quote it for your shell"
            )
        return images

    def _matches(self, pattern: str) -> list[Path]:
        parts = Path(pattern).parts
        spelt_out = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        images: dict[tuple[str, str], Path] = {}
        # Shortest first: links back to a folder above give one file many longer names.
        for path in sorted(map(Path, glob.glob(pattern, recursive=True)), key=lambda path: len(path.parts)):
            above = [path, *(each for each in path.parents if len(each.parts) > spelt_out)]
            results = next((each for each in above if each.name in self._results_in(each.parent)), None)
            if results is not None:
                self.result.skip(Skipped.RESULTS, results.parent)
            elif not path.is_dir():
                for image in self._image(path):
                    images.setdefault((self._real(path.parent), path.name), image)
        return list(images.values())

    def _image(self, path: Path) -> Iterator[Path]:
        """Gives the path if its suffix is that of an image that can be read."""
        suffix = path.suffix.lower()
        if is_hidden(path.name):
            self.result.skip(Skipped.HIDDEN, path)
        elif is_readable(suffix):
            yield path
        else:
            self.result.skip(Skipped.HEIF if suffix in HEIF_SUFFIXES else Skipped.NO_IMAGE, path)
