"""`oodseg predict --engine ray`: many workers, on this machine or on a cluster, and rows in Parquet."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.printing import print_facts, say
from oodseg.cli.typed import refuse
from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from oodseg.runs.fleet.predicting import FleetRun

OutOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder for the results; what it holds of an earlier run stays. If not given: oodseg-results, "
        "or a new folder in it if that holds results of other settings or images. With "
        "--engine ray also a URL.",
        show_default=False,
    ),
]


class Engine(StrEnum):
    """Names who does the work."""

    LOOP = "loop"
    RAY = "ray"


EngineOption = Annotated[
    Engine,
    typer.Option(
        help="ray: many workers, on this machine or a cluster; sources and --out may be URLs (s3://, gs://), "
        "sources also manifests (.parquet, .csv with a column path); one row per image in Parquet."
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="Of a running Ray cluster (auto, ray://HOST:PORT); one on this machine if not given.",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Pipelines at work with --engine ray; one per core or GPU if not given."),
]
_OTHERS = (
    *("score_map", "score_stats", "confidence_format", "fps", "every", "start", "end", "overlay"),
    *("overlay_format", "save_scores", "score_out", "save_crops", "only_hits", "batch"),
)


def is_wanted(ctx: typer.Context, engine: Engine) -> bool:
    """Tells whether Ray is to do the work.

    Raises:
        ConfigError: An option is for the other engine.
    """
    if engine is Engine.RAY:
        refuse(ctx, _OTHERS, "is for --engine loop: leave one of them out")
        return True
    refuse(ctx, ("address", "workers"), "is for --engine ray: leave it out, or add that")
    return False


def folder(out: str | None) -> Path | None:
    """Returns the folder of a run without Ray.

    Raises:
        ConfigError: It is a URL.
    """
    if out is not None and "://" in out:
        raise ConfigError(f"results go to {out} with --engine ray alone: add it, or name a folder")
    return None if out is None else Path(out)


def predict_on_ray(
    paths: list[str], address: str | None, workers: int | None, threads: int | None, options: dict[str, Any]
) -> None:
    """Predicts into Parquet and prints the result."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs.fleet.pools import RayPool
    from oodseg.runs.fleet.predicting import predict_fleet

    # As many workers as cores: more threads would only be in each other's way.
    threads = threads or 1
    options["out"] = options["out"] or "oodseg-results"
    pool = RayPool(address, workers, options["device"], threads)
    with progress_bar() as bar:
        run = predict_fleet(paths, pool=pool, threads=threads, progress=bar, **options)
    show(run)
    if run.failed:
        raise typer.Exit(1)


def show(run: FleetRun) -> None:
    """Prints the result of a run: counts, some of what failed and why, and where the rows are."""
    print_facts(run.facts())
    for reason in run.errors:
        say(f"failed: {reason}", "red")
    if run.failed > len(run.errors):
        say(f"and {run.failed - len(run.errors)} more: they have rows with the column error", "red")
    if run.retry:
        say(f"note: the same command tries {run.retry} of these again", "yellow", stderr=True)
    say(f"wrote {run.rows}")
