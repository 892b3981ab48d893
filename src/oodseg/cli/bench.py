"""`oodseg bench`: where a pipeline's time goes on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from oodseg.cli.bench_tables import show_comparison, show_times
from oodseg.cli.choices import Precision, Runtime
from oodseg.cli.compute_options import PrecisionOption, RuntimeOption, SizeOption
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
from oodseg.cli.typed import refuse

HELP = """Time every stage of a pipeline on this machine.

Uses a street scene that it draws itself, or an image of yours, saved as JPEG at 1280x720 and 2048x1024; \
times are medians of warm runs, from reading the file to the outlines. With --compare, every runtime and \
precision that this machine has, at 1280x720 and 640x360.

[bold]Examples[/bold]

oodseg bench

oodseg bench street.jpg --threads 4 --runs 20

oodseg bench --masks grabcut --json > bench.json

oodseg bench --compare
"""


def bench(
    ctx: typer.Context,
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
    runtime: RuntimeOption = Runtime.TORCH,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare all runtimes and precisions on the CPU.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time every stage of a pipeline; `HELP` is what the user sees."""
    parts: dict[str, Any] = {"detector": detector, "prompts": prompts, "masks": masks}
    parts |= {"operating_point": operating_point}
    parts["working_side"] = None if size is None else (size, size)
    set_threads(threads)
    if compare:
        refuse(
            ctx,
            ["device", "precision", "runtime"],
            "has no effect on --compare, which tries all there is on the CPU",
        )
        report = _compared(pipeline, image, runs, parts)
        show = show_comparison
    else:
        parts |= {"precision": precision.value, "runtime": runtime.value}
        report = _timed(pipeline, image, runs, device, parts)
        show = show_times
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        show(report)


def _compared(pipeline: str, image: Path | None, runs: int, parts: dict[str, Any]) -> dict[str, Any]:
    from oodseg.core.progress import progress_bar
    from oodseg.runs import compare_runtimes

    with progress_bar() as bar:
        return compare_runtimes(pipeline, image, runs=runs, progress=bar, **parts)


def _timed(
    pipeline: str, image: Path | None, runs: int, device: str, options: dict[str, Any]
) -> dict[str, Any]:
    started = time.perf_counter()  # imports torch and its kin; the next one only loads weights
    load_pipeline(pipeline, device, **options)
    first = time.perf_counter() - started
    from oodseg.runs import time_pipeline

    report = time_pipeline(pipeline, image, runs=runs, device=device, **options)
    report["first_load_seconds"] = round(first, 3)
    return report
