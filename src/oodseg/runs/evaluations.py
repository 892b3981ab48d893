"""Measures pipelines and score files on benchmark folders, and writes tables and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError
from oodseg.core.progress import Progress, silent
from oodseg.data import BenchmarkSet, open_dataset, synthetic
from oodseg.evaluation import Evaluation, evaluate
from oodseg.metrics.s2m import PRESETS
from oodseg.pipeline import S2M
from oodseg.report.write import write_results
from oodseg.runs.loading import load
from oodseg.runs.scores import read_stats
from oodseg.runs.statistics import spread
from oodseg.synth import benchmark

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction
    from oodseg.runs.scores import Stats

KEPT = "kept"  # folder of predictions
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
    detector: Any = None,
    prompts: Any = None,
    masks: Any = None,
    device: str | int = "auto",
    precision: str = "auto",
    size: int | None = None,
    runtime: str = "torch",
    scores: Mapping[str, str | os.PathLike[str]] | None = None,
    with_masks: bool = False,
    score_stats: Mapping[str, Stats] | None = None,
    baselines: bool = True,
    gated: bool = False,
    preset: str = "code",
    split: str | None = None,
    anomaly_value: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 1000,
    published: bool = True,
    report: bool = True,
    progress: Progress | None = None,
) -> EvaluationRun:
    """Measures a pipeline, its detector alone, and score files of any origin, on the same images.

    What is predicted is kept in `out/kept`: called again, it goes on where it was interrupted, and further
    figures of the same predictions cost little. That folder may go at any time.

    Args:
        datasets: Folders that `open_dataset` reads; `"synthetic"` draws its own scenes into `out`.
        pipeline: Bundled name, folder, or a pipeline; None to measure score files only. A named one is left
            out, too, where there are score files and images are missing.
        out: Folder for `results.json`, `results.csv`, `results.md` and `report.html`.
        operating_point: How readily a named pipeline proposes boxes; None for its own.
        detector: Replaces that part of a named pipeline: see `S2M.from_pretrained`.
        prompts: Replaces that part likewise.
        masks: Replaces that part likewise.
        device: Where a named pipeline runs: see `S2M`.
        precision: What a named pipeline computes in: see `S2M`.
        size: Long side in pixels at which a named pipeline looks at images: see `predict`.
        runtime: What runs its networks: see `S2M`.
        scores: Name to folder of score files, named like the images; with a sub folder per set where the sets
            are several.
        with_masks: Whether score files also get a row "NAME + S2M": the objects that the pipeline's prompts
            and masks make of them.
        score_stats: By the name of such scores: their mean and standard deviation on ordinary images, or a
            folder of score maps of such images, for that row; `""` stands for all that are not named. If not
            given, those of the score files of the set.
        baselines: Whether every score is also cut at its best threshold into connected components.
        gated: Whether the pipeline's gated score (`Prediction.gated_score`) gets a row too.
        preset: `"code"`: as S2M's released code (its tables); `"paper"`: as its equations.
        split: Split of the sets; None for the usual one.
        anomaly_value: Code of anomalies in the labels: see `open_dataset`.
        limit: At most this many labelled images per set, spread evenly; None for all.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples.
        published: Whether published numbers stand beside ours.
        report: Whether to write the page.
        progress: Told how far each set is.

    Raises:
        ConfigError: An unknown preset or part, nothing to measure, scores that are not one folder per set, or
            no `S2M` whose masks they could get.
        DatasetError: No such set, or a broken one.
        OodsegError: Missing weights or scores, or results that cannot be written.
        KeyboardInterrupt: With a sentence that says how to go on.
    """
    chosen = next((known for known in PRESETS if known == preset), None)
    if chosen is None:
        raise ConfigError(f"there is no preset '{preset}': choose one of {', '.join(PRESETS)}")
    show, folders = progress or silent, scores or {}
    paths = [_drawn(Path(path), Path(out), show) for path in datasets]
    sets = [_limited(open_dataset(path, split, anomaly_value), limit) for path in paths]
    parts = {"detector": detector, "prompts": prompts, "masks": masks}
    asked = any(part is not None for part in (*parts.values(), operating_point, size))
    asked |= (precision, runtime) != ("auto", "torch")
    if not isinstance(pipeline, str | os.PathLike):
        if asked:
            raise ConfigError(
                "parts, operating point, size, precision and runtime are chosen for a pipeline that is "
                "named: name one, or put them into S2M(...)"
            )
    elif folders and not (asked or with_masks or gated) and not _complete(sets):
        pipeline = None
    how = {"device": device, "precision": precision, "size": size, "runtime": runtime}
    measured, named = _load(pipeline, parts, operating_point, how)
    if with_masks and not isinstance(measured, S2M):
        raise ConfigError("the masks for scores are those of a pipeline: name one that is an S2M")
    if gated and measured is None:
        raise ConfigError("the gated score is one of a pipeline: name that, or leave out --gated")
    if score_stats and not with_masks:
        raise ConfigError(
            "the statistics of scores are for the masks that they get: ask for these (--with-masks)"
        )
    if unknown := set(score_stats or {}) - {"", *folders}:
        raise ConfigError(f"there are no scores '{min(unknown)}' to have statistics: name those of --scores")
    stats = score_stats or {}
    normalizers = {
        name: read_stats(stats[name if name in stats else ""])
        for name in folders
        if name in stats or "" in stats
    }
    keep = None if named.get("keep_as") is None else Path(out, KEPT)
    run = EvaluationRun()
    with _resumable(keep):
        for path, data in zip(paths, sets, strict=True):
            found = evaluate(
                data,
                measured,
                score_folders={
                    name: _folder_of(Path(each), path, len(sets)) for name, each in folders.items()
                },
                score_pipeline=measured if with_masks else None,
                score_normalizers=normalizers,
                baselines=baselines,
                gated=gated,
                preset=chosen,
                seed=seed,
                resamples=resamples,
                gallery=GALLERY if report else 0,
                keep=keep,
                progress=_titled(show, data.title),
                **named,
            )
            run.evaluations.append(found)
            # After every set, so that what is measured stays measured if a later one fails.
            run.files = write_results(run.evaluations, out, chosen, published=published, report=report)
    return run


@contextmanager
def _resumable(keep: Path | None) -> Iterator[None]:
    """Says, where an evaluation is interrupted, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        if keep is None or not keep.is_dir():
            raise
        raise KeyboardInterrupt(
            f"interrupted: what was predicted is kept in {keep}; run the same command again to go on"
        ) from None


def _drawn(path: Path, out: Path, progress: Progress) -> Path:
    """Draws the set that needs no download, where it is asked for by name; else the path as it is."""
    if str(path) != synthetic.NAME or path.exists():
        return path
    return benchmark.draw_benchmark(out / synthetic.VERSION, progress)


def _complete(sets: Sequence[BenchmarkSet]) -> bool:
    return all(frame.image_path is not None for data in sets for frame in data.frames)


def _limited(data: BenchmarkSet, limit: int | None) -> BenchmarkSet:
    """The set with fewer frames, all of them labelled, and a note that says so."""
    labelled = [frame for frame in data.frames if frame.label_path is not None]
    if limit is None or limit >= len(labelled):
        return data
    note = f"{limit} of {len(labelled)} labelled images, spread evenly: no figure of the whole set"
    return replace(data, frames=tuple(spread(labelled, limit)), notes=(*data.notes, note))


def _load(
    pipeline: Any, parts: Mapping[str, Any], operating_point: str | None, how: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The pipeline, and what names and describes its row."""
    if not isinstance(pipeline, str | os.PathLike):
        if not isinstance(pipeline, S2M):
            return pipeline, {} if pipeline is None else {"pipeline_name": "S2M (own)"}
        known = None
        with suppress(ConfigError):  # a part that nothing can name: its results are not kept
            known = load(pipeline)[1]
        return pipeline, {"pipeline_name": f"S2M ({pipeline.name})", "keep_as": known}
    s2m, settings = load(pipeline, operating_point=operating_point, **parts, **how)
    # The path to a folder says nothing in a table; the usual operating point goes without saying.
    words = [Path(pipeline).name or os.fspath(pipeline)]
    words += [f"{key} {_short(part)}" for key, part in parts.items() if part is not None]
    words += [f"{key} {how[key]}" for key in ("precision", "size") if how[key] not in {None, "auto"}]
    words += [settings["runtime"]] if "runtime" in settings else []
    if settings["operating_point"] != "quiet":
        words.append(settings["operating_point"])
    title = f"S2M ({', '.join(words)})"
    if isinstance(s2m, S2M) and s2m.promise is not None:
        settings = {**settings, "promise": s2m.promise}
    return s2m, {
        "pipeline_name": title,
        "weights_hash": settings.get("pipeline_sha256"),
        "settings": settings,
        "keep_as": settings,
    }


def _short(part: Any) -> str:
    """A part's name as a table shows it."""
    if isinstance(part, str | os.PathLike):
        return Path(part).name
    return str(part["name"] if isinstance(part, Mapping) else part.name)


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
