"""Lists what a run of the pipeline has found, in the order in which a person should look at it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    "file_name",
    "object",
    "confidence",
    "x",
    "y",
    "width",
    "height",
    "area",
    "share",
)


@dataclass(frozen=True)
class ObjectEntry:
    """An image and what was found in it.

    Attributes:
        name: What the image is called.
        height: Rows of the image.
        width: Columns of the image.
        objects: COCO annotations, most confident first.
        peak: Highest normalised score of the image; None if it is not known.
        files: Kind (`masks`, `confidence`, `overlays`, `thumbnails`, `scores`, `crops`) to paths, with `/`,
            from the folder of the list; one crop per object.
    """

    name: str
    height: int
    width: int
    objects: Sequence[Mapping[str, Any]]
    peak: float | None
    files: Mapping[str, Sequence[str]]

    @property
    def confidence(self) -> float | None:
        """Confidence of the surest object; None without one."""
        return max((each["score"] for each in self.objects), default=None)


@dataclass(frozen=True)
class ObjectList:
    """The images of a run.

    Attributes:
        entries: In any order.
        failures: By name: why an image gave no prediction.
        info: JSON-able: what is known of the run; the page shows `settings`, `version`, `images` and
            `promise`.
    """

    entries: Sequence[ObjectEntry]
    failures: Mapping[str, str]
    info: Mapping[str, Any]


def rank(entries: Iterable[ObjectEntry]) -> list[ObjectEntry]:
    """Sorts images, the one most worth a look first.

    That is the one with the most confident object; those without any come last, the highest score first.
    """

    def key(entry: ObjectEntry) -> tuple[bool, float]:
        if entry.confidence is None:
            return True, 0.0 if entry.peak is None else -entry.peak
        return False, -entry.confidence

    return sorted(entries, key=key)


def to_csv(entries: Iterable[ObjectEntry]) -> str:
    """Writes one line per object: box and area in pixels, share of the image 0..1; with crops their paths."""
    listed = list(entries)
    has_crops = any("crops" in entry.files for entry in listed)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *(["crop"] if has_crops else [])])
    for entry in listed:
        crops = entry.files.get("crops", ())
        for number, found in enumerate(entry.objects, start=1):
            box = [f"{value:g}" for value in found["bbox"]]
            share = f"{found['area'] / (entry.height * entry.width):.6f}"
            row = [entry.name, number, f"{found['score']:.4f}", *box, found["area"], share]
            writer.writerow([*row, *([crops[number - 1] if crops else ""] if has_crops else [])])
    return out.getvalue()
