"""Defines the options of `oodseg evaluate` that no other verb has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DatasetsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATASET...",
        help="Benchmark folders as unpacked, images/ + labels/, or what a labelling tool exported; "
        "'synthetic' draws its own scenes.",
    ),
]
PipelineOption = Annotated[
    str, typer.Option(metavar="NAME|DIR", help="Pipeline name or folder; 'none' evaluates score files only.")
]
ScoresOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]DIR",
        help="Score files to evaluate beside it, named like the images; may be repeated.",
        show_default=False,
    ),
]
WithMasksOption = Annotated[
    bool,
    typer.Option(
        "--with-masks",
        help="Also evaluate NAME + S2M: the pipeline's prompts and masks on --scores.",
    ),
]
ScoreStatsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]MEAN,STD|DIR",
        help="Statistics of --scores on ordinary images, or a folder of score maps of these, for "
        "--with-masks; those of the set's own maps if not given. May be given again.",
        show_default=False,
    ),
]
BaselinesOption = Annotated[
    bool, typer.Option(help="Also evaluate the connected components of every score at its best threshold.")
]
GatedOption = Annotated[
    bool,
    typer.Option(
        "--gated", help="Also measure the score raised inside the pipeline's outlines and lowered outside."
    ),
]
OutOption = Annotated[Path, typer.Option(help="Folder for results.json, results.csv and report.html.")]
PresetOption = Annotated[
    str, typer.Option(help="'code': as in S2M's released code (its tables); 'paper': as in its equations.")
]
SplitOption = Annotated[
    str | None,
    typer.Option(help="Split of the set; see `oodseg datasets list`.", show_default=False),
]
LimitOption = Annotated[
    int | None,
    typer.Option(min=1, help="At most this many labelled images per set, spread evenly.", show_default=False),
]
SeedOption = Annotated[int, typer.Option(help="Seed of the bootstrap.")]
ResamplesOption = Annotated[int, typer.Option(min=1, help="Bootstrap resamples.")]
PublishedOption = Annotated[bool, typer.Option(help="Show published numbers beside ours.")]
ReportOption = Annotated[bool, typer.Option(help="Write report.html.")]
ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Also report which pixels count, how figures are pooled, and the set and pipeline behind them.",
    ),
]
OF_SETS = (
    "scores",
    "with_masks",
    "score_stats",
    "baselines",
    "gated",
    "preset",
    "split",
    "anomaly_value",
    "limit",
    "seed",
    "resamples",
    "published",
    "report",
    "explain",
)
"""Options of `oodseg evaluate` that mean nothing with --fps."""
