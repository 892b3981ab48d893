"""Lists the findings of a failure detector's run in the order in which a person should review them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oodseg.report.failure_record import FailureRecord
from oodseg.report.measured_estimates import MeasuredEstimates


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
            `intervals` holds what the intervals of the mean promise, `dice_intervals` those of a volume,
            `notes` (sentences) what one should know of the figures,
            `settings` names its `scan` and `prediction`, `error_volume` and `label_volume` are its files.
        measured: Estimates beside the truth, where it was given.
    """

    entries: Sequence[FailureEntry]
    failures: Mapping[str, str]
    classes: Sequence[str]
    measure: str
    info: Mapping[str, Any]
    measured: MeasuredEstimates | None = None

    @property
    def unit(self) -> str:
        """Names the kind of image, in the singular."""
        return "slice" if self.measure == "Dice" else "image"

    @property
    def promise(self) -> str | None:
        """Says what the intervals promise, and on what condition; None without intervals."""
        intervals: Mapping[str, Any] = self.info.get("intervals") or {}
        return intervals.get("promise")

    @property
    def interval_measure(self) -> str:
        """Names the quality that the intervals of the mean are about: `"IoU"` or `"Dice"`."""
        intervals: Mapping[str, Any] = self.info.get("intervals") or {}
        return str(intervals.get("quality", self.measure))

    @property
    def interval_word(self) -> str:
        """Returns what stands before the ends of an interval; empty where it is about the measure itself."""
        return "" if self.interval_measure == self.measure else f"mean {self.interval_measure} "

    @property
    def structure_intervals(self) -> dict[str, tuple[float, float]]:
        """Lower and upper end by structure of a volume; empty without intervals."""
        found: Mapping[str, Any] = (self.info.get("dice_intervals") or {}).get("by_structure", {})
        return {name: (ends[0], ends[1]) for name, ends in found.items() if ends is not None}

    @property
    def structure_promise(self) -> str | None:
        """Says what the intervals of a volume's structures promise, and on what condition; None without."""
        promise: str | None = (self.info.get("dice_intervals") or {}).get("promise")
        return promise if self.structure_intervals else None


def rank(entries: Iterable[FailureEntry]) -> list[FailureEntry]:
    """Sorts entries, the one most worth a look first.

    That is the one with the lowest estimated mean; those without an estimate come last, the largest expected
    share of wrong pixels first.
    """

    def key(entry: FailureEntry) -> tuple[bool, float, float]:
        record = entry.record
        return record.mean is None, 0.0 if record.mean is None else record.mean, -record.wrong

    return sorted(entries, key=key)
