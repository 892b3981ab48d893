"""Judges the labels of a scan slice by slice, and writes their error as a volume."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.encoding import NumberFormat
from oodseg.core.errors import ConfigError, OodsegError
from oodseg.core.fingerprint import file_identity
from oodseg.core.progress import Progress
from oodseg.core.taxonomy import BACKGROUND
from oodseg.failures.consistency import Consistency
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.loading import (
    choose_failure_detector,
    choose_label_judge,
    failure_detector_parts,
    failure_detector_sha256,
)
from oodseg.failures.structures import volume_dice
from oodseg.io.slices import Slices, map_codes
from oodseg.io.volumes import put_slice, read_labels, read_volume, usual_window, write_volume
from oodseg.runs.folder import open_run, undone_if_refused
from oodseg.runs.items import Item, Source
from oodseg.runs.judging import ERROR_FILE, LABELS_FILE, JudgeRun, Judging, judging_plan, notes_of
from oodseg.runs.loop import work_through
from oodseg.runs.model_files import model_files
from oodseg.segmenters.given import GivenLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_FOLDER = "oodseg-results/volumes"
_FOREIGN = "no intervals of Dice are given: the detector's are about its own segmenter's labels"


def judge_volume(
    scan: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None,
    detector: str | os.PathLike[str] = Consistency.name,
    out: str | os.PathLike[str] | None = None,
    *,
    structures: Mapping[int, str] | None = None,
    window: tuple[float, float] | None = None,
    volume: int | None = None,
    device: str | int = "auto",
    precision: str = "auto",
    error_format: NumberFormat = "png",
    fresh: bool = False,
    progress: Progress | None = None,
) -> JudgeRun:
    """Judges labels that were made elsewhere; called again, resumes where it stopped.

    Args:
        scan: NIfTI file of the scan.
        labels: NIfTI file of the labels on it, made elsewhere; None for those of the segmenter that comes
            with the detector, if one does.
        detector: Failure detector trained on volumes: bundled name or folder.
        out: Folder for the results: those of `judge` for every slice, and `error.nii.gz`; and
            `labels.nii.gz` where labels were made here. None for `oodseg-results/volumes`, numbered as those
            of `predict`.
        structures: Structure of every code in these labels; None if they are the detector's own numbers.
        window: Values of the scan that become black and white; None for those the detector was trained with.
        volume: Which volume of a scan with several along a fourth dimension, from 0.
        device: Where the detector runs: see `choose_device`.
        precision: What is computed in: `"auto"`, `"full"` or `"half"`.
        error_format: Slices' error maps as `"png"` (16 bits) or `"npy"` (float32).
        fresh: Whether to redo slices that are done.
        progress: Told after every slice.

    Returns:
        As `judge`; with the estimated Dice of every structure of the whole volume.

    Raises:
        OodsegError: Unusable volumes, labels, detector or window, or results that cannot be written.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole.
    """
    detector = os.fspath(detector)
    values = read_volume(scan, volume)
    stored = None if labels is None else read_labels(labels, values)
    structures = dict(structures or {})
    if structures and stored is None:
        raise ConfigError("structures name the codes of labels from elsewhere: name these with --prediction")
    if detector == Consistency.name and stored is None:
        raise ConfigError(
            "consistency comes without a segmenter: name the labels to judge with --prediction, or a "
            "detector that labels the scan first, such as --detector hippocampus for MR of the hippocampus"
        )
    if detector == Consistency.name and stored is not None:
        present = [int(code) for code in np.unique(stored.values) if code]
        structures = structures or {code: f"label {code}" for code in present}
        loaded = choose_label_judge(detector, [BACKGROUND, *dict.fromkeys(structures.values())], device)
    else:
        loaded = choose_failure_detector(detector, None, device)
    if not isinstance(loaded, SegmenterAssessor) or not isinstance(loaded.segmenter, GivenLabels):
        raise ConfigError(
            f"the failure detector '{detector}' judges a segmenter of its own: give --detector the folder of "
            "one that was trained on volumes, or hippocampus"
        )
    given = loaded.segmenter
    if stored is None and given.fallback is None:
        raise ConfigError(
            f"the failure detector '{detector}' comes without a segmenter: name the labels to judge with "
            "--prediction"
        )
    foreign = stored is not None and given.fallback is not None and loaded.structure_intervals is not None
    if foreign:
        loaded.structure_intervals = None  # they are about labels of the segmenter that comes along
    codes = None if stored is None else map_codes(stored, given.classes, structures)
    window = window or given.window or usual_window(values)
    if window[0] >= window[1]:
        raise ConfigError(f"--window {window[0]:g} {window[1]:g}: the second value must be the larger one")
    slices = Slices(values, codes, window)
    settings = {
        "detector": detector,
        "detector_sha256": failure_detector_sha256(detector),
        "scan": str(scan),
        "prediction": None if labels is None else str(labels),
        "structures": {str(code): name for code, name in structures.items()},
        "window": list(window),
        "slice_axis": slices.axis,
        "models": model_files(failure_detector_parts(detector)),
        "classes": list(loaded.classes),
        **({} if volume is None else {"volume": volume}),
        **({} if precision == "auto" else {"precision": precision}),
    }
    files = [Path(each) for each in (scan, labels) if each is not None]
    plan = judging_plan(settings, error_format, fresh, "volumes")
    ready = open_run(plan, _slice_source(slices, files), out, DEFAULT_FOLDER)
    notes = [*notes_of(detector, loaded), *([_FOREIGN] if foreign else [])]
    with undone_if_refused(ready.store):
        work = _JudgingSlices(slices, ready.store, loaded, device=device, precision=precision, notes=notes)
        run = work.summed_up(work_through(work, ready.source, progress))
    return run if ready.note is None else replace(run, notes=[ready.note, *notes])


def _slice_source(slices: Slices, files: Sequence[Path]) -> Source:
    """The slices as items, with the labels on them that are judged."""
    origin = os.path.abspath(files[0])

    def item(index: int, key: str) -> Item:
        return Item(
            key,
            key,
            partial(slices.image, index),
            lambda: [key, *map(file_identity, files)],
            origin=origin,
            labels=None if slices.labels is None else partial(slices.label, index),
        )

    items = [item(index, key) for index, key in enumerate(slices.names())]
    return Source(items, len(items))


class _JudgingSlices(Judging):
    def __init__(self, slices: Slices, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, measure="Dice", **options)
        self._slices = slices

    def conclude(self, names: Mapping[str, str], complete: bool) -> dict[str, Any]:
        """The estimate for the whole volume, and its error map, once all slices are done."""
        if not complete:
            return {}
        for key in self.store.stored.keys() - names.keys():
            self.store.remove(key)  # the scan had more slices once
        write_volume(self.store.out / ERROR_FILE, self._stack(names, "error"), self._slices.scan)
        dice = volume_dice(self.store.records.values(), self.listed.classes)
        found: dict[str, Any] = {"dice": dice, "error_volume": ERROR_FILE}
        if self._slices.labels is None:
            made = self._stack(names, "labels").astype(np.uint8)
            write_volume(self.store.out / LABELS_FILE, made, self._slices.scan)
            found["label_volume"] = LABELS_FILE
        promised = self._detector.structure_intervals
        if promised is not None:
            found["dice_intervals"] = {
                "level": promised.level,
                "scans": promised.scans,
                "data": promised.data,
                "promise": promised.promise(),
                "by_structure": {name: promised.around(name, value) for name, value in dice.items()},
            }
        return found

    def _stack(self, names: Mapping[str, str], kind: str) -> NDArray[np.float32]:
        """The maps of all slices as a volume, float32 `[X, Y, Z]`."""
        values = np.zeros(self._slices.scan.values.shape, np.float32)
        for index, key in enumerate(names):
            put_slice(values, self._slices.axis, index, self._read(kind, key))
        return values

    def _read(self, kind: str, key: str) -> NDArray[np.float32]:
        """A map of a slice that is done, float32 `[H, W]`: error in 0..1, or labels."""
        import cv2

        path = self.store.path(kind, key)
        try:
            if path.suffix == ".npy":
                return np.asarray(np.load(path, allow_pickle=False), np.float32)
            stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        except (OSError, ValueError, cv2.error):
            stored = None
        if stored is None:
            raise OodsegError(f"{path} cannot be read any more: run again with --overwrite")
        return np.asarray(stored / (65535.0 if kind == "error" else 1.0), np.float32)
