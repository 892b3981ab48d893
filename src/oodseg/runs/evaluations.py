"""Measures pipelines and score files on benchmark folders, and writes tables and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError
from oodseg.core.progress import Progress, silent
from oodseg.data import BenchmarkSet, open_dataset, synthetic
from oodseg.evaluation import Evaluation, evaluate
from oodseg.metrics.s2m import PRESETS
from oodseg.pipeline import S2M
from oodseg.report.write import write_results
from oodseg.runs.loading import pipeline_sha256
from oodseg.synth import benchmark

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction

GALLERY = 60  # thumbnails per set in the report


@dataclass
class EvaluationRun:
    """The result of an evaluation.

    Attributes:
        evaluations: One per set.
        files: What was written.
    """

    evaluations: list[Evaluation] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def evaluate_sets(
    datasets: Sequence[str | os.PathLike[str]],
    pipeline: str | os.PathLike[str] | Callable[[Any], Prediction] | None = "street",
    out: str | os.PathLike[str] = "oodseg-results/evaluate",
    *,
    operating_point: str | None = None,
    scores: Mapping[str, str | os.PathLike[str]] | None = None,
    baselines: bool = True,
    preset: str = "code",
    split: str | None = None,
    anomaly_value: int | None = None,
    seed: int = 0,
    resamples: int = 1000,
    published: bool = True,
    report: bool = True,
    progress: Progress | None = None,
) -> EvaluationRun:
    """Measures a pipeline, its detector alone, and score files of any origin, on the same images.

    Args:
        datasets: Folders that `open_dataset` reads; `"synthetic"` draws its own scenes into `out`.
        pipeline: Bundled name, folder, or a pipeline; None to measure score files only. A named one is left
            out, too, where there are score files and images are missing.
        out: Folder for `results.json`, `results.csv`, `results.md` and `report.html`.
        operating_point: How readily a named pipeline proposes boxes; None for its own.
        scores: Name to folder of score files, named like the images; with a sub folder per set where the sets
            are several.
        baselines: Whether every score is also cut at its best threshold into connected components.
        preset: `"code"`: as S2M's released code (its tables); `"paper"`: as its equations.
        split: Split of the sets; None for the usual one.
        anomaly_value: Code of anomalies in the labels: see `open_dataset`.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples.
        published: Whether published numbers stand beside ours.
        report: Whether to write the page.
        progress: Told how far each set is.

    Raises:
        ConfigError: An unknown preset, nothing to measure, or scores that are not one folder per set.
        DatasetError: No such set, or a broken one.
        OodsegError: Missing weights or scores, or results that cannot be written.
    """
    chosen = next((known for known in PRESETS if known == preset), None)
    if chosen is None:
        raise ConfigError(f"there is no preset '{preset}': choose one of {', '.join(PRESETS)}")
    show, folders = progress or silent, scores or {}
    paths = [_drawn(Path(path), Path(out), show) for path in datasets]
    sets = [open_dataset(path, split, anomaly_value) for path in paths]
    measured, named = _load(pipeline, sets, bool(folders), operating_point)
    run = EvaluationRun()
    for path, data in zip(paths, sets, strict=True):
        found = evaluate(
            data,
            measured,
            score_folders={name: _folder_of(Path(each), path, len(sets)) for name, each in folders.items()},
            baselines=baselines,
            preset=chosen,
            seed=seed,
            resamples=resamples,
            gallery=GALLERY if report else 0,
            progress=_titled(show, data.title),
            **named,
        )
        run.evaluations.append(found)
        # After every set, so that what is measured stays measured if a later one fails.
        run.files = write_results(run.evaluations, out, chosen, published=published, report=report)
    return run


def _drawn(path: Path, out: Path, progress: Progress) -> Path:
    """Draws the set that needs no download, where it is asked for by name; else the path as it is."""
    if str(path) != synthetic.NAME or path.exists():
        return path
    return benchmark.draw_benchmark(out / synthetic.VERSION, progress)


def _load(
    pipeline: Any, sets: Sequence[BenchmarkSet], has_scores: bool, operating_point: str | None
) -> tuple[Any, dict[str, Any]]:
    """The pipeline, unless score files alone are to be measured, and what names its row."""
    if not isinstance(pipeline, str | os.PathLike):
        name = pipeline.name if isinstance(pipeline, S2M) else "own"
        return pipeline, {} if pipeline is None else {"pipeline_name": f"S2M ({name})"}
    complete = all(frame.image_path is not None for data in sets for frame in data.frames)
    if has_scores and not complete:
        return None, {}
    name = os.fspath(pipeline)
    s2m = S2M.from_pretrained(name, operating_point=operating_point)
    # The path to a folder says nothing in a table; the usual operating point goes without saying.
    point = "" if s2m.operating_point == "quiet" else f", {s2m.operating_point}"
    title = f"S2M ({Path(name).name or name}{point})"
    return s2m, {"pipeline_name": title, "weights_hash": pipeline_sha256(name)}


def _folder_of(folder: Path, dataset: Path, count: int) -> Path:
    """The folder's sub folder of the set's name, where there is one; needed as soon as sets are several."""
    below = folder / dataset.resolve().name
    if below.is_dir():
        return below
    if count > 1:
        raise ConfigError(f"{folder} has no folder {below.name} for that set's scores: make one per set")
    return folder


def _titled(progress: Progress, title: str) -> Progress:
    return lambda stage, done, total: progress(f"{title}: {stage}", done, total)
