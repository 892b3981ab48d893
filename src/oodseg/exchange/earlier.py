"""Keeps an account of an export in its folder, so that a later one into the same folder loses nothing.

    <out>/.oodseg-export.json    every file that was written there, with what tells whether it is as it was

Labels that a person has corrected since are never written over; labels of images that are not exported any
more go, if they are as they were written. A copy of an image goes where the image itself is still there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from oodseg.core.errors import ConfigError
from oodseg.core.files import output_errors, write_json
from oodseg.core.fingerprint import hash_file
from oodseg.core.input_warnings import name_few
from oodseg.exchange.labels import LabelledImage

RECORD = ".oodseg-export.json"
Stamps = Mapping[Path, tuple[int, int]]


class EarlierExport:
    """Knows what earlier exports have written into a folder.

    Args:
        root: The folder.
        format: Name of the format; files of another one do not count.

    Attributes:
        labels: SHA-256 of every file of labels, by its path from the folder.
        images: Of every image that was put there: where it came from, its size and time of change.
    """

    def __init__(self, root: Path, format: str) -> None:
        self._root, self._format = root, format
        self.labels: dict[str, str] = {}
        self.images: dict[str, tuple[str, *tuple[int, ...]]] = {}
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            found = json.loads((root / RECORD).read_text(encoding="utf-8"))
            if found["format"] == format:
                self.images = {name: (str(of), *when) for name, (of, *when) in found["images"].items()}
                self.labels = dict(found["labels"])

    def begin(self) -> None:
        """Refuses to write over labels that have changed since; else its account ends until `settle`.

        Raises:
            ConfigError: There are such labels.
            OodsegError: The account cannot be removed.
        """
        corrected = [
            name for name, was in self.labels.items() if _sha256(self._root / name) not in {was, None}
        ]
        if corrected:
            raise ConfigError(
                f"{self._root} holds labels that have changed since they were exported "
                f"({name_few(sorted(corrected))}): choose another folder (--out), so that corrections stay"
            )
        with output_errors(self._root / RECORD):  # were it to stay, what is broken off would look corrected
            (self._root / RECORD).unlink(missing_ok=True)

    def settle(self, written: Iterable[Path], placed: Mapping[Path, LabelledImage]) -> list[str]:
        """Takes away what this export has not written again, and takes down what is there now.

        Args:
            written: All files that this export has written.
            placed: The images that belong to it, by where they lie.

        Returns:
            What went, and what was left for a person to decide on, one sentence each.

        Raises:
            OodsegError: A file cannot be removed or written.
        """
        now = {path.relative_to(self._root).as_posix(): path for path in written}
        images = {path.relative_to(self._root).as_posix(): image for path, image in placed.items()}
        gone = [name for name in self.labels if name not in now and self._is_as_written(name)]
        lost = [name for name in self.images if name not in images]
        spare = [name for name in lost if self._is_spare(name)]
        for name in (*gone, *spare):
            with output_errors(self._root / name):
                (self._root / name).unlink(missing_ok=True)
        self.labels = {name: was for name, was in self.labels.items() if name not in gone}
        self.images = {name: about for name, about in self.images.items() if name not in lost}
        for name, path in now.items():
            if name in images:
                self.images[name] = _about(path, images[name])
            else:
                self.labels[name] = _sha256(path) or ""
        about = {"format": self._format, "labels": self.labels, "images": self.images}
        write_json(self._root / RECORD, about, indent=1)
        return self._notes(gone, [name for name in lost if name not in spare])

    def _notes(self, gone: Collection[str], kept: Collection[str]) -> list[str]:
        notes = []
        if gone:
            notes.append(
                f"labels of an earlier export in {self._root}, of images that are not among these, went: "
                f"{name_few(sorted(gone))}"
            )
        kept = [name for name in kept if os.path.lexists(self._root / name)]
        if kept:
            notes.append(
                f"{self._root} also holds images of an earlier export that have changed, or are no longer "
                f"where they came from ({name_few(sorted(kept))}): remove them, or choose another folder"
            )
        return notes

    def _is_as_written(self, name: str) -> bool:
        return _sha256(self._root / name) == self.labels[name]

    def _is_spare(self, name: str) -> bool:
        """Tells whether an image is a link or a copy as it was made, of an image that is still there."""
        source, *was = self.images[name]
        path = self._root / name
        try:
            status = path.lstat()
            same = os.path.samefile(path, source)
        except OSError:
            return False
        copied = not same and [status.st_size, status.st_mtime_ns] == was
        return path.is_symlink() or copied


def files_below(root: Path) -> dict[Path, tuple[int, int]]:
    """Lists all files below a folder, with what tells whether one has been written again."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(OSError):
                status = os.lstat(os.path.join(folder, name))
                found[Path(folder, name)] = (status.st_ino, status.st_mtime_ns)
    return found


def written_since(before: Stamps, now: Stamps) -> set[Path]:
    """Finds the files that are new, or have been written again."""
    return {path for path, stamp in now.items() if before.get(path) != stamp}


def _about(path: Path, image: LabelledImage) -> tuple[str, *tuple[int, ...]]:
    status = path.lstat()
    source = "" if image.path is None else os.path.abspath(image.path)
    return source, status.st_size, status.st_mtime_ns


def _sha256(path: Path) -> str | None:
    """Of a file's bytes; None if it is not there."""
    try:
        return hash_file(path)
    except OSError:
        return None
