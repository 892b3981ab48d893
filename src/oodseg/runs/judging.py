"""Judges the images of a run, lists them, and holds what the run gives."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from oodseg.core.devices import at_precision, check_precision, choose_device, device_errors
from oodseg.core.encoding import NumberFormat, encode_jpeg, encode_numbers, encode_png
from oodseg.core.errors import ImageError
from oodseg.core.taxonomy import IGNORE
from oodseg.core.version import __version__
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.second_opinion import SecondOpinion
from oodseg.io.images import to_tensor
from oodseg.report.failure_list import FailureEntry, FailureList, rank
from oodseg.report.failure_panels import draw_panel, heat_map
from oodseg.report.failure_record import FailureRecord, record_of
from oodseg.report.failures import CSV_FILE, JSON_FILE, PAGE_FILE, write_failures, write_list
from oodseg.runs.folder import common_root
from oodseg.runs.items import Item
from oodseg.runs.loop import Tally, Work
from oodseg.runs.store import Plan, RunStore
from oodseg.runs.truth import Truth, measure_estimates

if TYPE_CHECKING:
    from oodseg.core.parts import Judge

ERROR_FILE, LABELS_FILE = "error.nii.gz", "labels.nii.gz"  # of a whole volume
_PANEL_QUALITY = 88
_KINDS = ("error", "labels", "heat", "panels")


@dataclass(frozen=True)
class JudgeRun:
    """The result of a run.

    Attributes:
        page: The gallery.
        listed: All that was found, the image most worth a look first.
        images: Images (slices) asked for.
        done_before: Of those, how many an earlier run had done already.
        milliseconds: Time of every image done by this run, reading to assessment.
        notes: What one should know of the run as a whole, one sentence each.
    """

    page: Path
    listed: FailureList
    images: int
    done_before: int
    milliseconds: Sequence[float]
    notes: Sequence[str] = ()

    @property
    def failures(self) -> Mapping[str, str]:
        """By name: why an image could not be assessed."""
        return self.listed.failures

    @property
    def dice(self) -> Mapping[str, float | None]:
        """Estimated Dice of every structure of a volume, None of one not predicted; empty for images."""
        found: Mapping[str, float | None] = self.listed.info.get("dice", {})
        return found

    def worst(self, count: int = 5) -> list[FailureEntry]:
        """Returns the images of lowest estimated mean quality."""
        return [each for each in self.listed.entries if each.record.mean is not None][:count]

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what a person wants to know, in order."""
        unit = self.listed.unit
        means = [each.record.mean for each in self.listed.entries if each.record.mean is not None]
        rows = [(f"{unit}s", str(self.images))]
        if means:
            rows.append((f"median estimated mean {self.listed.measure}", f"{median(means):.2f}"))
        ends = self.listed.structure_intervals
        for name, value in self.dice.items():
            between = f" ({ends[name][0]:.2f} to {ends[name][1]:.2f})" if name in ends else ""
            said = "not predicted" if value is None else f"{value:.2f}{between}"
            rows.append((f"estimated Dice, {name}", said))
        rows += [] if self.listed.measured is None else self.listed.measured.facts()
        if self.milliseconds:
            each = f"{'an' if unit == 'image' else 'a'} {unit}"
            rows.append((f"median seconds {each}", f"{median(self.milliseconds) / 1e3:.2f}"))
        if self.done_before:
            rows.append(("done before", str(self.done_before)))
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        return rows


def judging_plan(
    settings: Mapping[str, Any], error_format: NumberFormat, fresh: bool, verb: str = "failures"
) -> Plan[FailureRecord]:
    """Plans the files of a run that judges segmentations.

    Args:
        settings: JSON-able: what the assessments depend on.
        error_format: `"png"` (16 bits) or `"npy"` (float32).
        fresh: Whether to redo images that are done.
        verb: Command that writes it.
    """
    files = {"error": f".{error_format}", "labels": ".png", "heat": ".png", "panels": ".jpg"}
    listed = (JSON_FILE, CSV_FILE, PAGE_FILE, ERROR_FILE, LABELS_FILE)
    return Plan(verb, FailureRecord, settings, files, listed, fresh)


def notes_of(name: str, detector: Judge) -> list[str]:
    """Lists what one should know of figures that nothing was fitted to.

    Args:
        name: What the user calls the detector.
        detector: The detector.
    """
    judge = detector.judge if isinstance(detector, SecondOpinion) else detector
    if isinstance(judge, SegmenterAssessor) and judge.calibration == Calibration():
        return [
            f"the figures of '{name}' are not calibrated: they say what to look at first, not how good it is"
        ]
    return []


class Judging(Work[FailureRecord]):
    """Assesses images, and lists them by how much they are worth a look.

    Args:
        store: Where results go; of `judging_plan`.
        detector: The failure detector.
        device: Where it runs: see `choose_device`.
        precision: What is computed in.
        measure: What is estimated: `"IoU"`, or `"Dice"` of slices.
        truth: Labels that the estimates are measured on.
        notes: What one should know of the figures, one sentence each.

    Attributes:
        listed: What was found, once the run is finished.
    """

    stage = "judging"

    def __init__(
        self,
        store: RunStore[FailureRecord],
        detector: Judge,
        *,
        device: str | int = "auto",
        precision: str = "auto",
        measure: str = "IoU",
        truth: Truth | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(store)
        self.listed = FailureList([], {}, detector.classes, measure, {})
        self._notes = list(notes)
        self.unit = f"{self.listed.unit}s"
        self._detector, self._device, self._truth = detector, choose_device(device), truth
        self._precision = check_precision(precision, self._device)
        self._format: NumberFormat = "npy" if store.plan.files["error"] == ".npy" else "png"

    def process(self, item: Item) -> tuple[dict[str, bytes], FailureRecord]:
        """See `Work.process`."""
        started = time.perf_counter()
        image = item.read()
        labels = None if item.labels is None else torch.from_numpy(item.labels().copy())
        if labels is not None and len(self.listed.classes) <= IGNORE and bool((labels == IGNORE).all()):
            raise ImageError(f"the labels of {item.name} hold nothing but void: there is nothing to judge")
        if labels is not None and labels.shape != image.shape[:2]:
            sizes = [f"{columns}x{rows}" for rows, columns in (labels.shape, image.shape[:2])]
            raise ImageError(
                f"the labels of {item.name} are {sizes[0]} pixels, the image is {sizes[1]}: both must be of "
                "one size"
            )
        with at_precision(self._precision), device_errors(self._device, item.name):
            found = self._detector.assess(to_tensor(image).to(self._device), labels)
        milliseconds = (time.perf_counter() - started) * 1e3
        panel = draw_panel(image, found, self.listed.classes)
        files = {
            "error": encode_numbers(found.error, self._format),
            "labels": encode_png(found.labels),
            "heat": encode_png(heat_map(image, found.error)),
            "panels": encode_jpeg(panel, _PANEL_QUALITY),
        }
        size = (panel.shape[1], panel.shape[0])
        return files, record_of(found, self.listed.classes, size, milliseconds)

    def keep_up(self, names: Mapping[str, str]) -> None:
        """See `Work.keep_up`."""
        write_list(self._list(names, False, {}), self.store.out)

    def finish(self, names: Mapping[str, str], complete: bool) -> None:
        """See `Work.finish`."""
        self.listed = self._list(names, complete, self.conclude(names, complete))
        if self._truth is not None and complete:
            listed = self.listed
            found = measure_estimates(self.store, self._truth, tuple(listed.classes), listed.measure)
            self.listed = replace(listed, measured=found)
        write_failures(self.listed, self.store.out)

    def _list(self, names: Mapping[str, str], complete: bool, conclusion: Mapping[str, Any]) -> FailureList:
        store = self.store
        entries = [
            FailureEntry(each.name, each.record, {kind: self._link(kind, key) for kind in _KINDS})
            for key, each in store.stored.items()
        ]
        root = common_root(store.stored.values())
        info = {
            "description": "segmentations by how much they are worth a look, the worst first",
            "version": __version__,
            "images": None if root is None else str(root),
            "complete": complete,
            "settings": store.settings,
            "notes": self._notes,
            "intervals": self._intervals(),
            "files": dict(store.plan.files),
            **conclusion,
        }
        failures = {names[key]: reason for key, reason in store.failures.items()}
        return FailureList(rank(entries), failures, self.listed.classes, self.listed.measure, info)

    def conclude(self, names: Mapping[str, str], complete: bool) -> dict[str, Any]:
        """Sums up all images, JSON-able; see `Work.finish`."""
        return {}

    def _intervals(self) -> dict[str, Any] | None:
        found = self._detector.intervals
        if found is None:
            return None
        about = {"level": found.level, "quality": found.quality, "images": found.images, "data": found.data}
        return {**about, "promise": found.promise()}

    def summed_up(self, tally: Tally) -> JudgeRun:
        """Returns the result of a run, once it is finished."""
        page = self.store.out / PAGE_FILE
        return JudgeRun(page, self.listed, tally.total, tally.done_before, tally.milliseconds, self._notes)

    def _link(self, kind: str, key: str) -> str:
        return self.store.path(kind, key).relative_to(self.store.out).as_posix()
