"""`oodseg evaluate`: put one number beside a published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from oodseg.cli import compute_options, evaluate_options, loading
from oodseg.cli.choices import Precision, Runtime
from oodseg.cli.datasets import AnomalyValueOption
from oodseg.cli.printing import console, say
from oodseg.cli.score_arguments import read_score_folders, read_score_stats
from oodseg.cli.videos import FpsOption, evaluate_tracks

if TYPE_CHECKING:
    from oodseg.runs import EvaluationRun

NO_PIPELINE = "none"


def evaluate(
    ctx: typer.Context,
    datasets: evaluate_options.DatasetsArgument,
    pipeline: evaluate_options.PipelineOption = "street",
    detector: loading.DetectorOption = None,
    prompts: loading.PromptsOption = None,
    masks: loading.MasksOption = None,
    operating_point: loading.OperatingPointOption = None,
    config: loading.ConfigOption = None,
    scores: evaluate_options.ScoresOption = None,
    with_masks: evaluate_options.WithMasksOption = False,
    score_stats: evaluate_options.ScoreStatsOption = None,
    baselines: evaluate_options.BaselinesOption = True,
    gated: evaluate_options.GatedOption = False,
    out: evaluate_options.OutOption = Path("oodseg-results/evaluate"),
    preset: evaluate_options.PresetOption = "code",
    split: evaluate_options.SplitOption = None,
    anomaly_value: AnomalyValueOption = None,
    limit: evaluate_options.LimitOption = None,
    seed: evaluate_options.SeedOption = 0,
    resamples: evaluate_options.ResamplesOption = 1000,
    published: evaluate_options.PublishedOption = True,
    report: evaluate_options.ReportOption = True,
    explain: evaluate_options.ExplainOption = False,
    threads: loading.ThreadsOption = None,
    fps: FpsOption = None,
    device: loading.DeviceOption = "auto",
    precision: compute_options.PrecisionOption = Precision.AUTO,
    size: compute_options.SizeOption = None,
    runtime: compute_options.RuntimeOption = Runtime.TORCH,
) -> None:
    """Evaluate a pipeline, its detector alone, and score files from any source; with --fps, tracks."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import evaluate_sets

    loading.set_threads(threads)
    chosen = loading.chosen_pipeline(ctx, config)
    chosen |= {"operating_point": operating_point, "device": device}
    chosen |= {"precision": precision.value, "size": size}
    if fps is not None:
        evaluate_tracks(ctx, datasets, out, fps, **chosen)
        return
    if chosen["pipeline"] == NO_PIPELINE:
        chosen["pipeline"] = None
    with progress_bar() as bar:
        found = evaluate_sets(
            datasets,
            **chosen,
            out=out,
            scores=read_score_folders(scores or []),
            with_masks=with_masks,
            score_stats=read_score_stats(score_stats or []),
            baselines=baselines,
            gated=gated,
            preset=preset,
            split=split,
            anomaly_value=anomaly_value,
            limit=limit,
            seed=seed,
            resamples=resamples,
            published=published,
            report=report,
            progress=bar,
        )
    _show(found, preset, published, explain)


def _show(run: EvaluationRun, preset: str, published: bool, explained: bool) -> None:
    from rich.console import Console

    from oodseg.metrics.s2m import Preset
    from oodseg.report.explanation import explain
    from oodseg.report.tables import build_rows, group_table, notes_of, rich_table

    shown: Preset = "code" if preset == "code" else "paper"
    # A file or pipe has no width to respect.
    wide = console() if console().is_terminal else Console(width=200)
    wide.print(rich_table(build_rows(run.evaluations, shown, published), shown, wide.width))
    for one in run.evaluations:
        kinds = group_table(one)
        if kinds is not None:
            wide.print(kinds)
    for one in run.evaluations:
        for note in notes_of(one):
            say(f"note: {one.dataset.title}: {note}")
        for name, value in explain(one, shown) if explained else ():
            say(f"  {name:<26} {value}")
    for file in run.files:
        say(f"wrote {file}")
