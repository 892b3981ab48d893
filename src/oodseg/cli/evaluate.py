"""`oodseg evaluate`: put one number beside a published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.cli.datasets import AnomalyValueOption
from oodseg.cli.loading import OperatingPointOption
from oodseg.cli.printing import console, say
from oodseg.cli.videos import FpsOption, evaluate_tracks
from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from oodseg.runs import EvaluationRun

NO_PIPELINE = "none"


def evaluate(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...",
            help="Benchmark folders as unpacked, images/ + labels/, or what a labelling tool exported; "
            "'synthetic' draws its own scenes.",
        ),
    ],
    pipeline: Annotated[str, typer.Option(help="Name or folder; 'none': score files only.")] = "street",
    operating_point: OperatingPointOption = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Score files to measure beside it, named like the images; may be given again.",
        ),
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Also components at every score's best threshold.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for results.json, results.csv and report.html.")] = Path(
        "oodseg-results/evaluate"
    ),
    preset: Annotated[
        str, typer.Option(help="'code': as S2M's released code (its tables); 'paper': as its equations.")
    ] = "code",
    split: Annotated[str | None, typer.Option(help="Split of the set; see `oodseg datasets list`.")] = None,
    anomaly_value: AnomalyValueOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples.")] = 1000,
    published: Annotated[bool, typer.Option(help="Show published numbers beside ours.")] = True,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    fps: FpsOption = None,
) -> None:
    """Measure a pipeline, its detector alone, and score files of any origin; with --fps, tracks."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import evaluate_sets

    if fps is not None:
        evaluate_tracks(datasets, pipeline, out, fps, operating_point)
        return
    with progress_bar() as bar:
        found = evaluate_sets(
            datasets,
            None if pipeline == NO_PIPELINE else pipeline,
            out,
            operating_point=operating_point,
            scores=read_score_folders(scores or []),
            baselines=baselines,
            preset=preset,
            split=split,
            anomaly_value=anomaly_value,
            seed=seed,
            resamples=resamples,
            published=published,
            report=report,
            progress=bar,
        )
    _show(found, preset, published)


def read_score_folders(arguments: list[str]) -> dict[str, Path]:
    """Parses `NAME=DIR` or `DIR`.

    Raises:
        ConfigError: Two folders of one name.
    """
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        named = bool(equals) and not Path(argument).exists()
        path = Path(folder if named else argument)
        key = name if named else path.resolve().name
        if key in folders:
            raise ConfigError(
                f"two folders of scores are called '{key}': name them with --scores NAME={path}"
            )
        folders[key] = path
    return folders


def _show(run: EvaluationRun, preset: str, published: bool) -> None:
    from rich.console import Console

    from oodseg.metrics.s2m import Preset
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
    for file in run.files:
        say(f"wrote {file}")
