"""`oodseg bench`: where a pipeline's time goes on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from oodseg.cli.choices import Precision
from oodseg.cli.compute_options import PrecisionOption, SizeOption
from oodseg.cli.loading import (
    DetectorOption,
    DeviceOption,
    MasksOption,
    OperatingPointOption,
    PipelineOption,
    PromptsOption,
    load_pipeline,
    set_threads,
)
from oodseg.cli.printing import console, say

HELP = """Time every stage of a pipeline on this machine.

Uses a street scene that it draws itself, or an image of yours, saved as JPEG at 1280x720 and 2048x1024; \
times are medians of warm runs, from reading the file to the outlines.

[bold]Examples[/bold]

oodseg bench

oodseg bench street.jpg --threads 4 --runs 20

oodseg bench --masks grabcut --json > bench.json
"""


def bench(
    image: Annotated[
        Path | None, typer.Argument(help="An image instead of the drawn scene.", show_default=False)
    ] = None,
    pipeline: PipelineOption = "street",
    detector: DetectorOption = None,
    prompts: PromptsOption = None,
    masks: MasksOption = None,
    operating_point: OperatingPointOption = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs per size.")] = 10,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
    size: SizeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time every stage of a pipeline; `HELP` is what the user sees."""
    parts: dict[str, Any] = {"detector": detector, "prompts": prompts, "masks": masks}
    parts |= {"operating_point": operating_point, "precision": precision.value}
    parts["working_side"] = None if size is None else (size, size)
    started = time.perf_counter()  # imports torch and its kin; the next one only loads weights
    set_threads(threads)
    load_pipeline(pipeline, device, **parts)
    first = time.perf_counter() - started
    from oodseg.runs import time_pipeline

    report = time_pipeline(pipeline, image, runs=runs, device=device, **parts)
    report["first_load_seconds"] = round(first, 3)
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    from rich.table import Table

    from oodseg.runs.timing import STAGES

    table = Table(
        title=f"{report['pipeline']}, {report['threads']} threads on {report['device']}: ms per image"
    )
    table.add_column("image")
    for stage in STAGES:
        table.add_column(stage, justify="right", style="bold" if stage == "total" else None)
    table.add_column("objects", justify="right")
    table.add_column("peak MiB", justify="right")
    for each in report["results"]:
        stages = [f"{each['milliseconds'][stage]:.0f}" for stage in STAGES]
        peak = "?" if each["peak_mib"] is None else str(each["peak_mib"])
        table.add_row(f"{each['width']}x{each['height']}", *stages, str(each["objects"]), peak)
    console().print(table)
    if report["promise"] is not None:
        say(f"promised: {report['promise']}")
    machine = report["machine"]
    say(
        f"medians of {report['results'][0]['runs']} warm runs; "
        f"weights loaded in {report['load_seconds']:.2f} s, "
        f"with imports in {report['first_load_seconds']:.1f} s; "
        f"{machine['cores']} cores ({machine['processor']}), torch {machine['torch']}",
        "dim",
    )
