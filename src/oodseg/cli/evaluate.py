"""`oodseg evaluate`: put one number beside a published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress

    from oodseg.data import BenchmarkSet

NO_PIPELINE = "none"


def evaluate(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...",
            help="Benchmark folders as unpacked, or images/ + labels/; 'synthetic' draws its own scenes.",
        ),
    ],
    pipeline: Annotated[
        str, typer.Option(help="Pipeline name or folder; 'none' measures score files only.")
    ] = "street",
    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Score files to measure beside it, named like the pictures; may be given again.",
        ),
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Also cut every score at its best threshold into connected components.")
    ] = True,
    out: Annotated[Path, typer.Option(help="Folder for results.json, results.csv and report.html.")] = Path(
        "oodseg-results/evaluate"
    ),
    preset: Annotated[
        str, typer.Option(help="'code': as S2M's released code (its tables); 'paper': as its equations.")
    ] = "code",
    split: Annotated[str | None, typer.Option(help="Split of the set; see `oodseg datasets list`.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples.")] = 1000,
    published: Annotated[bool, typer.Option(help="Show published numbers beside ours.")] = True,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
) -> None:
    """Measure a pipeline, its detector alone, and score files of any origin, on the same pictures."""
    from rich.console import Console

    from oodseg.data import open_dataset
    from oodseg.evaluation import Evaluation
    from oodseg.metrics.s2m import PRESETS
    from oodseg.report.write import write_results

    shown = next((known for known in PRESETS if known == preset), None)
    if shown is None:
        raise ConfigError(f"there is no preset '{preset}': choose one of {', '.join(PRESETS)}")
    console = Console()
    folders = _score_folders(scores or [])
    datasets = [_drawn(path, out, console) for path in datasets]
    sets = [open_dataset(path, split) for path in datasets]
    loaded = _load(pipeline, sets, bool(folders))
    found: list[Evaluation] = []
    with _progress(console) as bar:
        for path, data in zip(datasets, sets, strict=True):
            found.append(
                _one(
                    data,
                    loaded,
                    {name: _folder_of(folder, path, len(sets)) for name, folder in folders.items()},
                    bar,
                    baselines=baselines,
                    preset=shown,
                    seed=seed,
                    resamples=resamples,
                    gallery=60 if report else 0,
                )
            )
            # After every set, so that what is measured stays measured if a later one fails.
            written = write_results(found, out, shown, published=published, report=report)
    _show(console, found, shown, published)
    for file in written:
        console.print(f"wrote {file}", soft_wrap=True, highlight=False)


def _drawn(path: Path, out: Path, console: Any) -> Path:
    """Draws the set that needs no download, where it is asked for by name; else the path as it is."""
    from oodseg.data import synthetic
    from oodseg.synth import benchmark

    if str(path) != synthetic.NAME or path.exists():
        return path
    with _progress(console) as bar:
        task = bar.add_task(f"drawing {synthetic.VERSION}", total=None)
        return benchmark.draw_benchmark(
            out / synthetic.VERSION, lambda done, total: bar.update(task, completed=done, total=total)
        )


def _score_folders(arguments: list[str]) -> dict[str, Path]:
    """Parses `NAME=DIR` or `DIR`."""
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        path = Path(folder if equals and not Path(argument).exists() else argument)
        key = name if equals and not Path(argument).exists() else path.resolve().name
        if key in folders:
            raise ConfigError(
                f"two folders of scores are called '{key}': name them with --scores NAME={path}"
            )
        folders[key] = path
    return folders


def _folder_of(folder: Path, dataset: Path, count: int) -> Path:
    """The folder's sub folder of the set's name, where there is one; needed as soon as sets are several."""
    below = folder / dataset.resolve().name
    if below.is_dir():
        return below
    if count > 1:
        raise ConfigError(f"{folder} has no folder {below.name} for that set's scores: make one a set")
    return folder


def _load(name: str, sets: list[BenchmarkSet], has_scores: bool) -> Any:
    """Loads the pipeline, unless score files alone are to be measured."""
    if name == NO_PIPELINE:
        return None
    complete = all(frame.image_path is not None for data in sets for frame in data.frames)
    if has_scores and not complete:
        return None
    from oodseg.pipeline import S2M

    return name, S2M.from_pretrained(name)


def _one(data: BenchmarkSet, loaded: Any, folders: dict[str, Path], bar: Progress, **options: Any) -> Any:
    """Evaluates one set under a progress bar."""
    from oodseg.evaluation import evaluate as run
    from oodseg.runs.loading import pipeline_sha256

    task = bar.add_task(data.title, total=None)

    def progress(stage: str, done: int, total: int) -> None:
        bar.update(task, description=f"{data.title}: {stage}", completed=done, total=total)

    name, pipeline = loaded or (None, None)
    found = run(
        data,
        pipeline,
        score_folders=folders,
        pipeline_name=f"S2M ({_short(name)})" if name else "S2M",
        weights_hash=pipeline_sha256(name) if name else None,
        progress=progress,
        **options,
    )
    bar.update(task, description=f"{data.title}: done", completed=1, total=1)
    return found


def _short(name: str) -> str:
    """A pipeline folder's own name: the path to it says nothing in a table."""
    return Path(name).name or name


def _progress(console: Any) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _show(console: Any, found: list[Any], preset: Any, published: bool) -> None:
    from rich.console import Console

    from oodseg.report.tables import build_rows, group_table, notes_of, rich_table

    rows = build_rows(found, preset, published)
    # A file or pipe has no width to respect.
    wide = console if console.is_terminal else Console(width=200)
    wide.print(rich_table(rows, preset, wide.width))
    for one in found:
        kinds = group_table(one)
        if kinds is not None:
            wide.print(kinds)
    for one in found:
        for note in notes_of(one):
            console.print(f"note: {one.dataset.title}: {note}", soft_wrap=True, highlight=False)
