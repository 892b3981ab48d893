"""Predicts images into a folder: masks, confidence maps, overlays, and lists of all objects.

    <out>/masks/<key>.png         uint8, 255 on every unknown object
    <out>/confidence/<key>.png    uint16, 0..65535 for confidence 0..1 (or .npy, float32)
    <out>/overlays/<key>.jpg      for people (or .png)
    <out>/scores/<key>.png        if wanted: uint16, 0..65535 for normalised scores of -4..16 (or .npy)
    <out>/crops/<key>/1.jpg       if wanted: every object, cut out of its image
    <out>/thumbnails/<key>.jpg    for the page
    <out>/records/<key>.json      what resuming reads
    <out>/predictions.json        COCO: images, annotations, categories
    <out>/objects.csv             the objects as a table
    <out>/index.html              a page to look through, the surest object first
    <out>/run.json                the settings

A key is an image's path below the folder common to all images, without the suffix. What the folder holds of
earlier runs under the same settings stays; `predictions.json` lists it too, every image under a number that
never changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from oodseg.core.bundle import bundled_names
from oodseg.core.encoding import ImageFormat, NumberFormat
from oodseg.core.input_warnings import warn_input
from oodseg.core.progress import Progress
from oodseg.core.saving import COCO_FILE
from oodseg.io.images import Channels
from oodseg.pipeline import S2M
from oodseg.report.objects import PAGE_FILE
from oodseg.runs.fallback import fit_or_recall
from oodseg.runs.folder import open_run, undone_if_refused
from oodseg.runs.items import open_source
from oodseg.runs.loading import load, read_limits
from oodseg.runs.loop import Tally, work_through
from oodseg.runs.predicting import LISTS, Outputs, Predicting, PredictionRecord
from oodseg.runs.scores import ScoreMaps
from oodseg.runs.statistics import explain_nothing
from oodseg.runs.store import Plan, RunStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction
    from oodseg.runs.scores import Stats

DEFAULT_FOLDER = "oodseg-results"


@dataclass
class PredictionRun:
    """The result of a run.

    Attributes:
        coco_path: The COCO file.
        page: The page to look through.
        images: Images asked for.
        done_before: Of those, how many an earlier run had done already.
        with_objects: Images in which something was found, earlier ones included.
        objects: Objects found in all of them.
        milliseconds: Time of every image done by this run, reading to outlines.
        failures: By name: why an image gave no prediction.
        warnings: What was mended on the way.
        notes: What one should know of the run as a whole, one sentence each: which fallback was applied, why
            the results are in another folder than the usual one.
        promise: What a calibrated pipeline promises of these boxes, and on what condition; None for nothing.
        highest_score: Highest normalised score in all images; None if the pipeline does not show its scores.
    """

    coco_path: Path
    page: Path
    images: int = 0
    done_before: int = 0
    with_objects: int = 0
    objects: int = 0
    milliseconds: list[float] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    promise: str | None = None
    highest_score: float | None = None

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
    out: str | os.PathLike[str] | None = None,
    *,
    detector: Any = None,
    prompts: Any = None,
    masks: Any = None,
    operating_point: str | None = None,
    min_confidence: float | None = None,
    min_area: int = 0,
    max_objects: int | None = None,
    ignore: str | os.PathLike[str] | NDArray[np.bool_] | None = None,
    device: str | int = "auto",
    precision: str = "auto",
    size: int | None = None,
    batch: int = 1,
    runtime: str = "torch",
    score_maps: str | os.PathLike[str] | None = None,
    score_stats: Stats | None = None,
    confidence_format: NumberFormat = "png",
    overlays: ImageFormat | None = "jpg",
    save_scores: NumberFormat | None = None,
    score_out: str | os.PathLike[str] | None = None,
    save_crops: bool = False,
    only_hits: bool = False,
    channels: Channels = "rgb",
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
        out: Folder for the results; what it holds of an earlier run stays. None for `oodseg-results`, or the
            first of `oodseg-results/2`, ... that holds no results of other settings or images.
        detector: Replaces that part of a named pipeline: see `S2M.from_pretrained`.
        prompts: Likewise.
        masks: Likewise.
        operating_point: How readily a named pipeline proposes boxes: `"quiet"`, `"balanced"`, `"thorough"` or
            `"calibrated"`; None for the pipeline's own: `"calibrated"` where it was, else `"quiet"`.
        min_confidence: Least confidence of a box, 0..1, in place of the operating point.
        min_area: Least number of pixels of an object.
        max_objects: Most objects per image, the most confident ones.
        ignore: Where a named pipeline finds nothing: bool `[h, w]`, or an image that `read_mask` reads.
        device: Where a named pipeline runs: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or 1, `"mps"`.
        precision: What it computes in: `"auto"`, `"full"` or `"half"`; see `S2M`.
        size: Long side in pixels at which a named pipeline looks at images, which are never enlarged; None
            for its own choice. Outlines are drawn at full size.
        batch: Images that the detector sees at once.
        runtime: What runs its networks: see `S2M`.
        score_maps: Folder of anomaly scores to be used in place of the detector, which is not even loaded; or
            one such file for one image.
        score_stats: Mean and standard deviation of such scores on ordinary images, or a folder of score maps
            of such images; None to take those of all maps in `score_maps`.
        confidence_format: `"png"` (16 bits) or `"npy"` (float32).
        overlays: Format of the overlays, `"jpg"` or `"png"`; None for none.
        save_scores: Format in which the normalised score maps are kept, `"png"` (16 bits) or `"npy"`
            (float32), at the size that the detector worked at; None to leave them.
        score_out: Folder for the gated score maps (`Prediction.gated_score`), float32 `.npy` at the image's
            size, named like the images; None to leave them.
        save_crops: Whether every object is cut out of its image, into a file of its own.
        only_hits: Whether only images in which something was found have files; all of them are listed.
        channels: Order of the channels of arrays: `"bgr"` for images of OpenCV.
        fresh: Whether to redo images that are done, and to let go results of other settings in `out`.
        settings: JSON-able: names the pipeline in place of what is known of it.
        progress: Told after every image: `with progress_bar() as bar: predict(..., progress=bar)`.

    Returns:
        Counts, failures and where the COCO file lies.

    Raises:
        ConfigError: `out` holds results of other settings, or of other images of the same names.
        OodsegError: No such source or pipeline, an unusable folder of score maps, or results that cannot be
            written.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole.
    """
    opened = open_source(source, channels)
    # Only a folder that is there can be finished; a fault of the pipeline is said before one is made.
    s2m, known = load(
        pipeline,
        settings,
        defer=Path(out or DEFAULT_FOLDER).is_dir(),
        device=device,
        precision=precision,
        size=size,
        runtime=runtime,
        ignore=ignore,
        with_detector=score_maps is None,
        operating_point=operating_point,
        limits=read_limits(operating_point, min_confidence, min_area, max_objects),
        detector=detector,
        prompts=prompts,
        masks=masks,
    )
    notes: list[str | None] = []
    maps = None if score_maps is None else ScoreMaps(score_maps, opened, score_stats)
    known["scores"] = None if maps is None else maps.settings
    if maps is None and isinstance(s2m, S2M):
        notes.append(fit_or_recall(s2m, opened.items, known, out, DEFAULT_FOLDER, fresh))
    promise = s2m.promise if maps is None and isinstance(s2m, S2M) else None
    gated = None if score_out is None else Path(score_out).resolve().as_posix()
    outputs = Outputs(confidence_format, overlays, save_scores, save_crops, only_hits, gated)
    plan = Plan("predict", PredictionRecord, known, outputs.kinds, LISTS, fresh, not only_hits)
    ready = open_run(plan, opened, out, DEFAULT_FOLDER)
    with undone_if_refused(ready.store):
        work = Predicting(ready.store, s2m, maps, outputs, promise, batch)
        run = _summed_up(ready.store, work_through(work, ready.source, progress))
    run.promise = promise
    run.notes = [note for note in (*notes, ready.note) if note is not None]
    if maps is not None and run.milliseconds and not run.objects and isinstance(ready.source.items, Sequence):
        warn_input(maps.explain_nothing(s2m, ready.source.items, run.highest_score))
    own = detector is not None or "fitted" in known or _is_folder(pipeline)
    all_shown = ignore is None and min_confidence is None and not min_area and max_objects is None
    if maps is None and own and all_shown and run.milliseconds and not run.objects:
        warn_input(explain_nothing(run.highest_score, fitted_here="fitted" in known))
    return run


def _is_folder(pipeline: Any) -> bool:
    """Tells whether a pipeline is a folder, such as `oodseg fit` writes, and none that ships."""
    return isinstance(pipeline, str | os.PathLike) and os.fspath(pipeline) not in bundled_names()


def _summed_up(store: RunStore[PredictionRecord], tally: Tally) -> PredictionRun:
    done = [key for key in tally.names if key in store.stored and key not in store.failures]
    records = [store.stored[key].record for key in done]
    warnings = [warning for each in records for warning in each.warnings]
    for sentence in warnings:
        warn_input(sentence)
    return PredictionRun(
        store.out / COCO_FILE,
        store.out / PAGE_FILE,
        tally.total,
        tally.done_before,
        sum(bool(each.annotations) for each in records),
        sum(len(each.annotations) for each in records),
        tally.milliseconds,
        {tally.names[key]: reason for key, reason in store.failures.items()},
        warnings,
        highest_score=max((each.peak for each in records if each.peak is not None), default=None),
    )
