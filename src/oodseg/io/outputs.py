"""What a run leaves on disk: masks, confidence maps, overlays, and one COCO file for all pictures.

    <out>/masks/<name>.png         uint8, 255 on every unknown object
    <out>/confidence/<name>.png    uint16, 0..65535 for confidence 0..1 (or .npy, float32)
    <out>/overlays/<name>.png      for people
    <out>/records/<name>.json      what resuming reads: a picture with a valid record is done
    <out>/predictions.json         COCO: images, annotations, categories

A picture's record is written after its other files and every file is written whole or not at all, so a run
can be broken off anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import coco_document
from oodseg.core.encoding import ConfidenceFormat, encode_confidence, encode_png
from oodseg.core.errors import ConfigError
from oodseg.core.files import output_errors, write_bytes, write_json
from oodseg.core.prediction import Prediction
from oodseg.core.version import __version__

COCO_FILE = "predictions.json"


@dataclass(frozen=True)
class Record:
    """What a run knows of a finished picture.

    Attributes:
        fingerprint: Of the settings and the files it was made from; another one means it is stale.
        height: Rows of the picture.
        width: Columns of the picture.
        annotations: COCO annotations without final ids.
        milliseconds: Reading to outlines.
        warnings: What was mended on the way.
    """

    fingerprint: str
    height: int
    width: int
    annotations: Sequence[Mapping[str, Any]]
    milliseconds: float
    warnings: Sequence[str]


def output_names(pictures: Sequence[Path]) -> tuple[Path, dict[Path, PurePath]]:
    """Gives every picture an output name of its own.

    That is its path below the folder common to all, without the suffix; pictures that differ in nothing but
    the suffix (or in case, which some file systems do not tell apart) keep it: `a.jpg.png`, `a.png.png`.

    Args:
        pictures: Paths, each once.

    Returns:
        The common folder, absolute, and the name of every picture.
    """
    if not pictures:
        return Path.cwd(), {}
    absolute = {picture: Path(os.path.abspath(picture)) for picture in pictures}
    try:
        root = Path(os.path.commonpath([path.parent for path in absolute.values()]))
    except ValueError:  # several drives
        raise ConfigError("the pictures lie on several drives: run once for every drive") from None
    full = {picture: PurePath(path.relative_to(root)) for picture, path in absolute.items()}
    short = {picture: name.with_suffix("") for picture, name in full.items()}
    times = Counter(str(name).casefold() for name in short.values())
    names = {
        picture: name if times[str(name).casefold()] == 1 else full[picture]
        for picture, name in short.items()
    }
    # `a.jpg`, `a.png` and `a.jpg.png` side by side: only full names tell them apart.
    return root, names if len(set(names.values())) == len(names) else full


class RunFolder:
    """Writes a run's files and finds out what an earlier, interrupted run has done already.

    Args:
        out: Folder to write to; made if missing.
        pictures: All pictures of the run, in the order of the COCO file.
        settings: JSON-able: whatever the predictions depend on; pictures of other settings count as not done.
        confidence_format: `"png"` (16 bits) or `"npy"` (float32).
        overlays: Whether overlays are drawn.
        fresh: Whether to recompute pictures that are done.

    Raises:
        ConfigError: `out` is a file, or the pictures have no common folder.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        pictures: Sequence[Path],
        settings: Mapping[str, Any],
        *,
        confidence_format: ConfidenceFormat = "png",
        overlays: bool = True,
        fresh: bool = False,
    ) -> None:
        self.out = Path(out)
        if self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"{self.out} is a file: choose a folder for the results")
        self.pictures = list(pictures)
        self.root, self.names = output_names(self.pictures)
        self._format: ConfidenceFormat = confidence_format
        self._overlays, self._fresh = overlays, fresh
        self._settings = {**settings, "confidence_format": confidence_format, "overlays": overlays}
        self._records: dict[Path, Record] = {}
        self._failures: dict[Path, str] = {}

    @property
    def coco_path(self) -> Path:
        """Where the COCO file lies."""
        return self.out / COCO_FILE

    def path(self, kind: str, picture: Path, suffix: str = ".png") -> Path:
        """Where a picture's `kind` (`masks`, `confidence`, `overlays`, `records`) lies."""
        # Not with_suffix: names may hold dots.
        name = self.names[picture]
        return self.out / kind / name.with_name(name.name + suffix)

    def fingerprint(self, picture: Path, *others: Path) -> str:
        """Of the settings and of place, size and time of the files a prediction is made from."""
        files = [[os.path.abspath(path), *_size_and_time(path)] for path in (picture, *others)]
        facts = json.dumps([__version__, self._settings, files], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()

    def done(self, picture: Path, fingerprint: str) -> Record | None:
        """The record of a picture that an earlier run finished under the same fingerprint."""
        if self._fresh:
            return None
        try:
            record = Record(**json.loads(self.path("records", picture, ".json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        whole = record.fingerprint == fingerprint and all(
            path.is_file() for path in self._wanted(picture).values()
        )
        if not whole:
            return None
        self._records[picture] = record
        return record

    def write(
        self, picture: Path, fingerprint: str, image: NDArray[np.uint8], prediction: Prediction
    ) -> Record:
        """Writes all files of a picture, its record last.

        Args:
            picture: One of the run's pictures.
            fingerprint: What `fingerprint` said before the prediction was made.
            image: The picture itself, uint8 `[H, W, 3]` RGB.
            prediction: What was found in it.

        Raises:
            OodsegError: A file cannot be written; none is left half written.
        """
        self._clear(picture)
        wanted = self._wanted(picture)
        write_bytes(wanted["masks"], encode_png(prediction.mask.astype(np.uint8) * np.uint8(255)))
        write_bytes(wanted["confidence"], encode_confidence(prediction.confidence, self._format))
        if self._overlays:
            write_bytes(wanted["overlays"], encode_png(prediction.overlay(image)))
        record = Record(
            fingerprint,
            prediction.height,
            prediction.width,
            prediction.to_coco(0, 0),
            round(prediction.timings.get("total", 0.0), 1),
            list(prediction.warnings),
        )
        write_json(self.path("records", picture, ".json"), vars(record))
        self._records[picture] = record
        return record

    def fail(self, picture: Path, reason: str) -> None:
        """Notes that a picture gave no prediction; files of an earlier run that no longer hold go."""
        self._clear(picture)
        self._failures[picture] = reason

    def finish(self) -> Path:
        """Writes the COCO file of all pictures done so far; failures are listed under `info`.

        Raises:
            OodsegError: The file cannot be written.
        """
        write_json(self.coco_path, self._coco())
        return self.coco_path

    def _coco(self) -> dict[str, Any]:
        done = [
            (number, self._file_name(picture), record.height, record.width, record.annotations)
            for number, picture in enumerate(self.pictures, start=1)
            if (record := self._records.get(picture)) is not None
        ]
        info = {
            "description": "unknown objects found by oodseg",
            "version": __version__,
            "pictures": str(self.root),
            "complete": len(done) == len(self.pictures),
            "settings": self._settings,
            "failures": [
                {"file_name": self._file_name(picture), "reason": reason}
                for picture, reason in self._failures.items()
            ],
        }
        return coco_document(done, info)

    def _file_name(self, picture: Path) -> str:
        return Path(os.path.abspath(picture)).relative_to(self.root).as_posix()

    def _wanted(self, picture: Path) -> dict[str, Path]:
        wanted = {
            "masks": self.path("masks", picture),
            "confidence": self.path("confidence", picture, f".{self._format}"),
        }
        return {**wanted, "overlays": self.path("overlays", picture)} if self._overlays else wanted

    def _clear(self, picture: Path) -> None:
        """Removes a picture's record first, then all else that other settings may have left."""
        stale = [("records", ".json"), ("masks", ".png"), ("confidence", ".png"), ("confidence", ".npy")]
        for kind, suffix in [*stale, ("overlays", ".png")]:
            path = self.path(kind, picture, suffix)
            with output_errors(path):
                path.unlink(missing_ok=True)


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # whoever reads the file next has the words for it
        return -1, -1
    return status.st_size, status.st_mtime_ns
