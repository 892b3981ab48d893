"""What `oodseg failures` leaves on disk, and the order in which a person should look at it.

    <out>/error/<name>.png      uint16, 0..65535 for an error probability of 0..1 (or .npy, float32)
    <out>/labels/<name>.png     uint8, the predicted classes
    <out>/heat/<name>.png       the error on the picture, for people
    <out>/panels/<name>.jpg     picture | prediction | re-synthesis | error map
    <out>/records/<name>.json   what resuming reads: a picture with a valid record is done
    <out>/failures.json, .csv   all pictures, the one most worth a look first
    <out>/index.html            the same as a gallery

A picture's record is written after its other files and every file is written whole or not at all, so a run
can be broken off anywhere.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import ConfidenceFormat, encode_confidence, encode_png
from oodseg.core.errors import OodsegError
from oodseg.core.files import output_errors, write_bytes, write_json
from oodseg.core.version import __version__
from oodseg.io.outputs import RunFolder
from oodseg.report.failure_gallery import Entry, Gallery, render
from oodseg.report.failure_panels import draw_panel, heat_map
from oodseg.report.failure_record import FailureRecord, record_of

if TYPE_CHECKING:
    from oodseg.failures import Assessment

JSON_FILE, CSV_FILE, PAGE_FILE = "failures.json", "failures.csv", "index.html"
_PANEL_QUALITY = 88


class FailureFolder:
    """Writes a run's files, ranks its pictures, and finds out what an earlier run has done already.

    Args:
        out: Folder to write to; made if missing.
        pictures: All pictures of the run.
        settings: JSON-able: whatever the assessments depend on; pictures of other settings count as not done.
        classes: Names of the classes.
        overlap: What is estimated: `"IoU"` or `"Dice"`.
        error_format: `"png"` (16 bits) or `"npy"` (float32).
        fresh: Whether to recompute pictures that are done.

    Raises:
        ConfigError: `out` is a file, or the pictures have no common folder.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        pictures: Sequence[Path],
        settings: Mapping[str, Any],
        classes: Sequence[str],
        *,
        overlap: str = "IoU",
        error_format: ConfidenceFormat = "png",
        fresh: bool = False,
    ) -> None:
        self.out, self.classes, self.overlap = Path(out), tuple(classes), overlap
        self.settings = {**settings, "classes": list(classes), "overlap": overlap}
        self._run = RunFolder(
            out, pictures, self.settings, confidence_format=error_format, overlays=False, fresh=fresh
        )
        self._format, self._fresh = error_format, fresh
        self.records: dict[Path, FailureRecord] = {}
        self.failures: dict[Path, str] = {}

    def fingerprint(self, *sources: Path) -> str:
        """Of the settings and of place, size and time of the files an assessment is made from."""
        return self._run.fingerprint(*sources)

    def path(self, kind: str, picture: Path) -> Path:
        """Where a picture's `kind` (`error`, `labels`, `heat`, `panels`, `records`) lies."""
        suffix = {"error": f".{self._format}", "panels": ".jpg", "records": ".json"}.get(kind, ".png")
        return self._run.path(kind, picture, suffix)

    def done(self, picture: Path, fingerprint: str) -> FailureRecord | None:
        """The record of a picture that an earlier run finished under the same fingerprint."""
        if self._fresh:
            return None
        try:
            text = self.path("records", picture).read_text(encoding="utf-8")
            record = FailureRecord(**json.loads(text))
        except (OSError, ValueError, TypeError):
            return None
        files = (self.path(kind, picture) for kind in ("error", "labels", "heat", "panels"))
        if record.fingerprint != fingerprint or not all(path.is_file() for path in files):
            return None
        self.records[picture] = record
        return record

    def write(
        self,
        picture: Path,
        fingerprint: str,
        image: NDArray[np.uint8],
        assessment: Assessment,
        milliseconds: float,
    ) -> None:
        """Writes all files of a picture, its record last.

        Args:
            picture: One of the run's pictures.
            fingerprint: What `fingerprint` said before the assessment was made.
            image: The picture itself, uint8 `[H, W, 3]` RGB.
            assessment: What the failure detector says about it.
            milliseconds: How long that took.

        Raises:
            OodsegError: A file cannot be written; none is left half written.
        """
        self._clear(picture)
        write_bytes(self.path("error", picture), encode_confidence(assessment.error, self._format))
        write_bytes(self.path("labels", picture), encode_png(assessment.labels))
        write_bytes(self.path("heat", picture), encode_png(heat_map(image, assessment.error)))
        panel = draw_panel(image, assessment, self.classes)
        write_bytes(self.path("panels", picture), _encode_jpeg(panel))
        size = (panel.shape[1], panel.shape[0])
        record = record_of(assessment, self.classes, fingerprint, size, milliseconds)
        write_json(self.path("records", picture), vars(record))
        self.records[picture] = record

    def read_error(self, picture: Path) -> NDArray[np.float32]:
        """The error map of a picture that is done, float32 `[H, W]` in 0..1.

        Raises:
            OodsegError: Somebody took the file away or changed it.
        """
        import cv2

        path = self.path("error", picture)
        try:
            if self._format == "npy":
                return np.asarray(np.load(path, allow_pickle=False), np.float32)
            stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        except (OSError, ValueError, cv2.error):
            stored = None
        if stored is None:
            raise OodsegError(f"{path} cannot be read any more: run again with --overwrite")
        return np.asarray(stored / 65535.0, np.float32)

    def fail(self, picture: Path, reason: str) -> None:
        """Notes that a picture could not be assessed; files of an earlier run that no longer hold go."""
        self._clear(picture)
        self.failures[picture] = reason

    def ranking(self) -> list[tuple[Path, FailureRecord]]:
        """The pictures done so far, the one most worth a look first.

        That is the one with the lowest estimated mean; those without an estimate come last, the largest
        expected share of wrong pixels first.
        """

        def key(entry: tuple[Path, FailureRecord]) -> tuple[bool, float, float]:
            record = entry[1]
            return record.mean is None, 0.0 if record.mean is None else record.mean, -record.wrong

        listed = [
            (picture, self.records[picture]) for picture in self._run.pictures if picture in self.records
        ]
        return sorted(listed, key=key)

    def finish(self, **facts: Any) -> Path:
        """Writes list and gallery of all pictures done so far; returns the gallery's path.

        Args:
            **facts: JSON-able: whatever else is known of the whole, under `info`.

        Raises:
            OodsegError: A file cannot be written.
        """
        write_json(self.out / JSON_FILE, self._listed(facts), indent=1)
        write_bytes(self.out / CSV_FILE, self._table().encode("utf-8", "backslashreplace"))
        write_bytes(self.out / PAGE_FILE, render(self._gallery(facts)).encode("utf-8", "xmlcharrefreplace"))
        return self.out / PAGE_FILE

    def name(self, picture: Path) -> str:
        """What a picture is called in lists: its path below the folder common to all."""
        return Path(os.path.abspath(picture)).relative_to(self._run.root).as_posix()

    def _listed(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        word = self.overlap.lower()
        rows = [
            {
                "rank": rank,
                "file_name": self.name(picture),
                f"estimated_mean_{word}": record.mean,
                f"estimated_{word}": dict(record.by_class),
                "predicted_pixels": dict(record.pixels),
                "expected_wrong_share": record.wrong,
                "files": self._files(picture),
            }
            for rank, (picture, record) in enumerate(self.ranking(), start=1)
        ]
        info = {
            "description": "segmentations by how much they are worth a look, the worst first",
            "version": __version__,
            "pictures": str(self._run.root),
            "complete": len(rows) == len(self._run.pictures),
            "settings": self.settings,
            **facts,
        }
        failures = [{"file_name": self.name(each), "reason": why} for each, why in self.failures.items()]
        return {"info": info, "pictures": rows, "failures": failures}

    def _files(self, picture: Path) -> dict[str, str]:
        return {
            kind: self.path(kind, picture).relative_to(self.out).as_posix()
            for kind in ("error", "labels", "heat", "panels")
        }

    def _gallery(self, facts: Mapping[str, Any]) -> Gallery:
        entries = [
            Entry(self.name(picture), record, self._files(picture)) for picture, record in self.ranking()
        ]
        failures = list(self.failures.values())
        return Gallery(entries, self.classes, self.overlap, failures, facts.get("dice") or {})

    def _table(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = [
            name for name in self.classes if any(name in each.by_class for each in self.records.values())
        ]
        word = self.overlap.lower()
        writer.writerow(
            ["rank", "file_name", f"estimated_mean_{word}", "expected_wrong_share"]
            + [f"{word}_{name}" for name in names]
        )
        for rank, (picture, record) in enumerate(self.ranking(), start=1):
            values = [record.mean, record.wrong, *(record.by_class.get(name) for name in names)]
            writer.writerow(
                [rank, self.name(picture), *("" if each is None else f"{each:.4f}" for each in values)]
            )
        return out.getvalue()

    def _clear(self, picture: Path) -> None:
        """Removes a picture's record first, then all else that other settings may have left."""
        stale = [("records", ".json"), ("error", ".png"), ("error", ".npy"), ("labels", ".png")]
        for kind, suffix in [*stale, ("heat", ".png"), ("panels", ".jpg")]:
            path = self._run.path(kind, picture, suffix)
            with output_errors(path):
                path.unlink(missing_ok=True)


def _encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    import cv2

    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _PANEL_QUALITY])
    return bytes(data)
