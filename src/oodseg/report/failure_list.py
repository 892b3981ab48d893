"""Lists the findings of a failure detector's run in the order in which a person should review them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oodseg.report.failure_record import FailureRecord


@dataclass(frozen=True)
class FailureEntry:
    """One line of the list.

    Attributes:
        name: What the image is called.
        record: What is known of it.
        files: Kind (`error`, `labels`, `heat`, `panels`) to path, with `/`, from the folder of the list.
    """

    name: str
    record: FailureRecord
    files: Mapping[str, str]


@dataclass(frozen=True)
class FailureList:
    """A run's images, the one most worth a look first.

    Attributes:
        entries: As `rank` sorts them.
        failures: By name: why an image could not be assessed.
        classes: Names of the classes.
        measure: What is estimated: `"IoU"`, or `"Dice"` of slices.
        info: JSON-able: what is known of the run; `dice` (structure to estimate) is of a whole volume,
            `intervals` holds what the intervals of the mean promise.
    """

    entries: Sequence[FailureEntry]
    failures: Mapping[str, str]
    classes: Sequence[str]
    measure: str
    info: Mapping[str, Any]

    @property
    def unit(self) -> str:
        """Names the kind of image, in the singular."""
        return "slice" if self.measure == "Dice" else "image"

    @property
    def promise(self) -> str | None:
        """Says what the intervals promise, and on what condition; None without intervals."""
        intervals: Mapping[str, Any] = self.info.get("intervals") or {}
        return intervals.get("promise")


def rank(entries: Iterable[FailureEntry]) -> list[FailureEntry]:
    """Sorts entries, the one most worth a look first.

    That is the one with the lowest estimated mean; those without an estimate come last, the largest expected
    share of wrong pixels first.
    """

    def key(entry: FailureEntry) -> tuple[bool, float, float]:
        record = entry.record
        return record.mean is None, 0.0 if record.mean is None else record.mean, -record.wrong

    return sorted(entries, key=key)
