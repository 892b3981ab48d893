"""Runs all methods over one set on the same images, each image predicted once.

The baselines need the set twice: first its extremes (Eq. 8) and best threshold, then the figures. So what a
prediction leaves behind waits on disk, and every method is measured in two passes, one method at a time.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.progress import Progress, silent
from oodseg.core.version import __version__
from oodseg.data import BenchmarkSet, Frame, open_dataset, verify
from oodseg.evaluation.gallery import tile
from oodseg.evaluation.gated import GatedScores
from oodseg.evaluation.kept import KeptPredictions
from oodseg.evaluation.labels import Labels
from oodseg.evaluation.measure import measure
from oodseg.evaluation.outlined import OutlinedScores
from oodseg.evaluation.pipeline_run import DetectorOfPipeline, PipelineRun
from oodseg.evaluation.results import Evaluation, MethodResult
from oodseg.evaluation.sources import ComponentSource, DetectorRun, FolderSource, Source
from oodseg.metrics.bootstrap import resample_weights
from oodseg.metrics.components import TRACK_SIZES
from oodseg.metrics.s2m import Preset

if TYPE_CHECKING:
    from oodseg.core.normalization import ScoreNormalizer
    from oodseg.core.parts import Detector
    from oodseg.core.prediction import Prediction

DEFINITIONS = {
    "pixel": "pooled over all pixels of the set, ignored ones removed; AuPRC is the step sum of recall steps "
    "times precision, FPR95 the false positive rate at the first threshold with TPR >= 0.95, AUROC counts "
    "ties half, best F1 is the largest over all thresholds",
    "s2m_code": "S2M's released code: thresholds 0, 0.01 ... 1, mask = map > t, IoU and Dice per image "
    "averaged over images, empty union 0, ignored pixels kept (a prediction there is false), AuIoU by "
    "trapezoid",
    "s2m_paper": "S2M's Eq. 9 and 10: counts pooled over the set, thresholds 0 ... 0.99, ignore removed",
    "iou": "iou_threshold_free is the IoU of map > 0, every prompt kept; iou_best the IoU at the threshold "
    "that is best on this very set, which is what S2M's Table 1 prints",
    "normalisation": "scores are min-max normalised with the set's extremes (Eq. 8); confidences are not",
    "components": "SegmentMeIfYouCan: sIoU, PPV, and F1 averaged over 0.25 ... 0.75, at the pooled best-F1 "
    "threshold, with the track's minimum sizes",
    "components_threshold_free": "the same on the mask of every prompt",
    "instances": "class-agnostic COCO AP, AP50 and AR@100, every 8-connected component of the anomaly label "
    "one object, the ignored region a crowd; a false alarm is a prediction with under a quarter of its "
    "counted pixels on an anomaly",
    "intervals": "95 % percentile bootstrap over images; resamples without an anomaly, or with nothing "
    "else, are left out, as figures are undefined there",
}


def evaluate(
    dataset: BenchmarkSet | str | os.PathLike[str],
    pipeline: Callable[[Any], Prediction] | None = None,
    detector: Detector | None = None,
    score_folders: Mapping[str, str | os.PathLike[str]] | None = None,
    *,
    score_pipeline: Callable[..., Prediction] | None = None,
    score_normalizers: Mapping[str, ScoreNormalizer] | None = None,
    baselines: bool = True,
    resamples: int = 1000,
    seed: int = 0,
    pipeline_name: str = "S2M",
    weights_hash: str | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: Preset = "code",
    progress: Progress | None = None,
    gallery: int = 0,
    keep: str | os.PathLike[str] | None = None,
    keep_as: Any = None,
    gated: bool = False,
) -> Evaluation:
    """Measures every method on the same images.

    Args:
        dataset: A folder that `open_dataset` reads, or what that returned.
        pipeline: Called with an image's path, returns a `Prediction`; its detector alone becomes a row too.
        detector: A detector to measure by itself, at the images' own size.
        score_folders: Row name to folder of score files, paired with the frames by name.
        score_pipeline: Gives every folder of scores a second row, "NAME + S2M": the objects that it finds in
            these scores. Called with an image's path, `score_map` and `score_normalizer`, as an `S2M` is.
        score_normalizers: By the row name of a folder: statistics of such scores on ordinary images, for
            that second row; those of the folder's own files if not given.
        baselines: Whether every score also gets a row of connected components at its best threshold.
        resamples: Bootstrap resamples.
        seed: Seed of the bootstrap.
        pipeline_name: How the pipeline's row is called.
        weights_hash: Recorded with the results.
        settings: JSON-able: what else is known of the pipeline; recorded likewise.
        preset: Which S2M preset tables show; both are computed.
        progress: Called as `progress(stage, done, total)`.
        gallery: How many frames at most to keep as thumbnails for the report; the worst come first.
        keep: Folder in which the predictions stay, so that an evaluation that was interrupted goes on there;
            None to let them go.
        keep_as: JSON-able: all that tells the pipeline from others.
        gated: Whether the pipeline's gated score (`oodseg.core.gating`) becomes a row too.

    Raises:
        ConfigError: Nothing to evaluate, or a pipeline for scores of which there are none.
        DatasetError: Not a data set, no labelled frame, a missing image, a label of the wrong size or code.
        ScoreMapError: A missing or broken score file.
    """
    report = progress or silent
    if score_pipeline is not None and not score_folders:
        raise ConfigError("there are no scores to outline the objects of: name a folder of score files")
    with collect_warnings() as warnings, tempfile.TemporaryDirectory(prefix="oodseg-") as folder:
        if not isinstance(dataset, BenchmarkSet):
            dataset = open_dataset(dataset)
        dataset = _labelled(dataset)
        # Every label is read once before hours are spent on prediction: a wrong one shows now.
        checked = verify(dataset)
        frames, sizes = dataset.frames, TRACK_SIZES[dataset.track]
        weights = resample_weights(len(frames), resamples, seed)
        # Files are looked up before anything slow starts.
        folders = [FolderSource(place, frames, name) for name, place in (score_folders or {}).items()]
        known = score_normalizers or {}
        outlined = [
            OutlinedScores(each, score_pipeline, frames, known.get(each.name))
            for each in folders
            if score_pipeline
        ]
        place, named = Path(folder if keep is None else keep), keep_as if keep is not None else "temporary"
        sources = [
            *_run(
                folder,
                frames,
                pipeline,
                detector,
                pipeline_name,
                gated,
                report,
                KeptPredictions(place, named),
            ),
            *_given(place, named, frames, folders, outlined, report),
        ]
        labels = Labels(frames)
        if not sources:
            raise ConfigError(
                "there is nothing to evaluate: name a pipeline, a detector or a folder of scores"
            )
        methods: list[MethodResult] = []
        for kind, source in sources:
            result, extremes = measure(source, kind, frames, labels, sizes, weights, report)
            methods.append(result)
            # Without a best threshold (no anomaly, or nothing else) there is nothing to cut a score at.
            if baselines and kind == "score" and math.isfinite(result.threshold):
                parts = ComponentSource(source, extremes, result.threshold, sizes.predicted)
                methods.append(measure(parts, "components", frames, labels, sizes, weights, report)[0])
        rows = [source for _, source in sources]
        tiles = [tile(frames[i], labels[i], i, rows) for i in _worst(methods, gallery)]
    meta = {
        "oodseg_version": __version__,
        "checked": dict(checked.facts()),
        "weights": weights_hash,
        "pipeline": None if settings is None else dict(settings),
        "scores": {name: str(place) for name, place in (score_folders or {}).items()},
        "score_statistics": {each.name: each.settings for each in outlined},
        "seed": seed,
        "resamples": resamples,
        "preset": preset,
        "definitions": DEFINITIONS,
    }
    return Evaluation(dataset, checked.fingerprint, methods, tiles, meta, warnings)


def _labelled(dataset: BenchmarkSet) -> BenchmarkSet:
    """The set without the frames whose truth is hidden."""
    frames = tuple(frame for frame in dataset.frames if frame.label_path is not None)
    if not frames:
        raise DatasetError(f"{dataset.root} holds no labelled frame: there is nothing to measure against")
    return replace(dataset, frames=frames)


def evaluate_folder(
    path: str | os.PathLike[str], pipeline: Callable[[Any], Prediction], **options: Any
) -> dict[str, dict[str, float]]:
    """Measures a pipeline and its detector alone on a folder, in one flat dict.

    Args:
        path: Any folder that `open_dataset` reads.
        pipeline: Called with an image's path, returns a `Prediction`.
        **options: As `evaluate` takes.

    Returns:
        Row (`pipeline`, `detector`, `gated` with `gated=True`, `detector_components` with `baselines=True`)
        to name to figure:
        `auiou`, `iou_threshold_free`, `iou_best`, `best_threshold`, `mean_f1` (preset `code`), `auprc`,
        `fpr95`, `siou`, `ppv`, `f1_mean`, and for rows with objects `boxes_per_image`,
        `false_alarms_per_image`, `ap`, `ap50`, `ar`.
    """
    options.setdefault("baselines", False)
    found = evaluate(path, pipeline, **options)
    rows = {"prompts": "pipeline", "score": "detector", "components": "detector_components"}
    rows["gated"] = "gated"
    result = {}
    for method in found.methods:
        flat = {
            name: f.value
            for family in ("s2m_code", "pixel", "components", "instances")
            for name, f in method.figures.get(family, {}).items()
        }
        result[rows[method.kind]] = flat | {"best_threshold": method.best_thresholds["code"]}
    return result


def _run(
    spool: str,
    frames: Sequence[Frame],
    pipeline: Callable[[Any], Prediction] | None,
    detector: Detector | None,
    pipeline_name: str,
    gated: bool,
    report: Progress,
    kept: KeptPredictions,
) -> list[tuple[str, Source]]:
    """Runs pipeline and detector and lists every row's kind and source."""
    sources: list[tuple[str, Source]] = []
    if pipeline is not None:
        whole = PipelineRun(pipeline, frames, kept, pipeline_name)
        whole.run(lambda done: report("predicting", done, len(frames)))
        sources.append(("prompts", whole))
        if whole.has_scores:
            sources.append(("score", DetectorOfPipeline(whole, f"{pipeline_name}'s detector")))
            if gated:
                sources.append(("gated", GatedScores(whole, f"{pipeline_name}, gated score")))
    if detector is not None:
        alone = DetectorRun(detector, frames, _folder(spool, "detector"), detector.name)
        alone.run(lambda done: report("scoring", done, len(frames)))
        sources.append(("score", alone))
    return sources


def _given(
    place: Path,
    named: Any,
    frames: Sequence[Frame],
    folders: Sequence[FolderSource],
    outlined: Sequence[OutlinedScores],
    report: Progress,
) -> list[tuple[str, Source]]:
    """Lists the rows of score files; first those of the objects found in them, if these are wanted."""
    sources: list[tuple[str, Source]] = []
    for predict in outlined:
        kept = KeptPredictions(place, [named, predict.name, predict.settings])
        whole = PipelineRun(predict, frames, kept, predict.name, predict.paths)
        whole.run(partial(_report_one, report, f"predicting {predict.name}", len(frames)))
        sources.append(("prompts", whole))
    return [*sources, *(("score", scores) for scores in folders)]


def _report_one(report: Progress, stage: str, total: int, done: int) -> None:
    report(stage, done, total)


def _folder(spool: str, name: str) -> Path:
    path = Path(spool) / name
    path.mkdir()
    return path


def _worst(methods: Sequence[MethodResult], count: int) -> list[int]:
    """Frames from worst to best by the first row's mean F1; the image's own, averaged over thresholds."""
    values = np.array([image.mean_f1 for image in methods[0].images])
    return [int(index) for index in np.argsort(values, kind="stable")[:count]]
