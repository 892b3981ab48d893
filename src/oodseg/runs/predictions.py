"""Predicts images into a folder: masks, confidence maps, overlays, and one COCO file of all objects.

    <out>/masks/<key>.png         uint8, 255 on every unknown object
    <out>/confidence/<key>.png    uint16, 0..65535 for confidence 0..1 (or .npy, float32)
    <out>/overlays/<key>.png      for people
    <out>/records/<key>.json      what resuming reads
    <out>/predictions.json        COCO: images, annotations, categories

A key is an image's path below the folder common to all images, without the suffix.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.coco import coco_document
from oodseg.core.encoding import ConfidenceFormat, encode_confidence, encode_png
from oodseg.core.files import write_json
from oodseg.core.parts import statistics_of
from oodseg.core.progress import Progress
from oodseg.core.version import __version__
from oodseg.pipeline import S2M
from oodseg.runs.items import Item, Source, file_identity, open_source
from oodseg.runs.loading import load
from oodseg.runs.loop import Tally, Work, work_through
from oodseg.runs.scores import ScoreFolder
from oodseg.runs.statistics import fit_to_inputs
from oodseg.runs.store import RunStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction

COCO_FILE = "predictions.json"


@dataclass(frozen=True)
class PredictionRecord:
    """The record of a predicted image.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        annotations: COCO annotations without final ids.
        milliseconds: Reading to outlines.
        warnings: What was mended on the way.
    """

    height: int
    width: int
    annotations: Sequence[Mapping[str, Any]]
    milliseconds: float
    warnings: Sequence[str]


@dataclass
class PredictionRun:
    """The result of a run.

    Attributes:
        coco_path: The COCO file.
        images: Images asked for.
        done_before: Of those, how many an earlier run had done already.
        with_objects: Images in which something was found, earlier ones included.
        objects: Objects found in all of them.
        milliseconds: Time of every image done by this run, reading to outlines.
        failures: By name: why an image gave no prediction.
        warnings: What was mended on the way.
        note: A fallback that was applied first; None for none.
    """

    coco_path: Path
    images: int = 0
    done_before: int = 0
    with_objects: int = 0
    objects: int = 0
    milliseconds: list[float] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    note: str | None = None

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what a person wants to know, in order."""
        rows = [("images", str(self.images)), ("with unknown objects", str(self.with_objects))]
        rows.append(("unknown objects", str(self.objects)))
        if self.milliseconds:
            rows.append(("median seconds per image", f"{median(self.milliseconds) / 1e3:.2f}"))
        if self.done_before:
            rows.append(("done before", str(self.done_before)))
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        return rows


def predict(
    source: Any,
    pipeline: str | os.PathLike[str] | Callable[..., Prediction] = "street",
    out: str | os.PathLike[str] = "oodseg-results",
    *,
    detector: Any = None,
    prompts: Any = None,
    masks: Any = None,
    operating_point: str = "quiet",
    ignore: str | os.PathLike[str] | NDArray[np.bool_] | None = None,
    device: str = "cpu",
    score_maps: str | os.PathLike[str] | None = None,
    confidence_format: ConfidenceFormat = "png",
    overlays: bool = True,
    fresh: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PredictionRun:
    """Predicts images into a folder; called again, resumes where an interrupted run stopped.

    An unusable image is recorded, and the rest goes on. A detector that must be fitted and never was
    is fitted first, on a sample of the very images.

    Args:
        source: What `open_source` takes: a file, a folder, a pattern, a list of these, or images in memory.
        pipeline: Bundled name, folder, or a pipeline; any other callable, called as `s2m(image)` or
            `s2m(image, score_map=..., score_normalizer=...)`, needs `settings`.
        out: Folder for the results.
        detector: Replaces that part of a named pipeline: see `S2M.from_pretrained`.
        prompts: Likewise.
        masks: Likewise.
        operating_point: How readily a named pipeline proposes boxes: `"quiet"`, `"balanced"` or `"thorough"`.
        ignore: Where a named pipeline finds nothing: bool `[h, w]`, or an image that `read_mask` reads.
        device: Where a named pipeline runs: `"cpu"`, `"cuda"` or `"auto"`.
        score_maps: Folder of anomaly scores to be used in place of the detector, which is not even loaded.
        confidence_format: `"png"` (16 bits) or `"npy"` (float32).
        overlays: Whether overlays are drawn.
        fresh: Whether to redo images that are done.
        settings: JSON-able: names the pipeline in place of what is known of it; images done under other
            settings are done again.
        progress: Told after every image: `with progress_bar() as bar: predict(..., progress=bar)`.

    Returns:
        Counts, failures and where the COCO file lies.

    Raises:
        OodsegError: No such source or pipeline, an unusable folder of score maps, or results that cannot be
            written.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole.
    """
    opened = open_source(source, exclude=out)
    s2m, known = load(
        pipeline,
        settings,
        device=device,
        ignore=ignore,
        with_detector=score_maps is None,
        operating_point=operating_point,
        detector=detector,
        prompts=prompts,
        masks=masks,
    )
    run = PredictionRun(Path(out) / COCO_FILE)
    scores = None if score_maps is None else ScoreFolder(score_maps, opened)
    if scores is None and isinstance(s2m, S2M):
        run.note = fit_to_inputs(s2m, opened.items)
        if run.note is not None and s2m.detector is not None:
            fitted = statistics_of(s2m.detector)
            known["fitted"] = [fitted.mean, fitted.std]
    known["scores"] = None if scores is None else scores.settings
    known |= {"confidence_format": confidence_format, "overlays": overlays}
    store = RunStore(
        out,
        PredictionRecord,
        known,
        {"masks": ".png", "confidence": f".{confidence_format}"} | ({"overlays": ".png"} if overlays else {}),
        stale=[("confidence", ".png"), ("confidence", ".npy"), ("overlays", ".png")],
        fresh=fresh,
    )
    work = _Predicting(store, s2m, scores, opened)
    return _summed_up(run, store, work_through(work, opened, progress))


class _Predicting(Work[PredictionRecord]):
    stage = "predicting"

    def __init__(
        self,
        store: RunStore[PredictionRecord],
        s2m: Callable[..., Prediction],
        scores: ScoreFolder | None,
        source: Source,
    ) -> None:
        super().__init__(store)
        self._s2m, self._scores, self._root = s2m, scores, source.root

    def identity(self, item: Item) -> list[Any]:
        if self._scores is None:
            return item.identity()
        return [*item.identity(), file_identity(self._scores.find(item))]

    def process(self, item: Item) -> tuple[dict[str, bytes], PredictionRecord]:
        started = time.perf_counter()
        image = item.read()
        read = (time.perf_counter() - started) * 1e3
        if self._scores is None:
            found = self._s2m(image)
        else:
            score_map = self._scores.find(item)
            found = self._s2m(image, score_map=score_map, score_normalizer=self._scores.normalizer)
        as_format: ConfidenceFormat = self.store.settings["confidence_format"]
        files = {
            "masks": encode_png(found.mask.astype(np.uint8) * np.uint8(255)),
            "confidence": encode_confidence(found.confidence, as_format),
        }
        if self.store.settings["overlays"]:
            files["overlays"] = encode_png(found.overlay(image))
        total = round(found.timings.get("total", 0.0) + read, 1)
        record = PredictionRecord(found.height, found.width, found.to_coco(0, 0), total, list(found.warnings))
        return files, record

    def finish(self, names: Mapping[str, str], complete: bool) -> None:
        images = [
            (number, name, record.height, record.width, record.annotations)
            for number, (key, name) in enumerate(names.items(), start=1)
            if (record := self.store.records.get(key)) is not None
        ]
        info = {
            "description": "unknown objects found by oodseg",
            "version": __version__,
            "images": None if self._root is None else str(self._root),
            "complete": complete,
            "settings": self.store.settings,
            "failures": [
                {"file_name": names[key], "reason": reason} for key, reason in self.store.failures.items()
            ],
        }
        write_json(self.store.out / COCO_FILE, coco_document(images, info))


def _summed_up(run: PredictionRun, store: RunStore[PredictionRecord], tally: Tally) -> PredictionRun:
    records = [store.records[key] for key in tally.names if key in store.records]
    run.images, run.done_before, run.milliseconds = tally.total, tally.done_before, tally.milliseconds
    run.with_objects = sum(bool(each.annotations) for each in records)
    run.objects = sum(len(each.annotations) for each in records)
    run.warnings = [warning for each in records for warning in each.warnings]
    run.failures = {tally.names[key]: reason for key, reason in store.failures.items()}
    return run
