"""`oodseg bench`: where a pipeline's time goes on this machine."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.loading import (
    DetectorOption,
    Device,
    DeviceOption,
    MasksOption,
    PipelineOption,
    PromptsOption,
    load_pipeline,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oodseg.pipeline import S2M

SIZES = ((1280, 720), (2048, 1024))
STAGES = ("read", "detector", "prompts", "masks", "total")
HELP = """Time every stage of a pipeline on this machine.

Takes a street scene that it draws itself, or a picture of yours, saved as JPEG at 1280x720 and 2048x1024; \
the medians are of warm runs, from reading the file to the outlines.

[bold]Examples[/bold]

oodseg bench

oodseg bench street.jpg --threads 4 --runs 20

oodseg bench --masks grabcut --json > bench.json
"""


def bench(
    picture: Annotated[
        Path | None, typer.Argument(help="A picture in place of the drawn scene.", show_default=False)
    ] = None,
    pipeline: PipelineOption = "street",
    detector: DetectorOption = None,
    prompts: PromptsOption = None,
    masks: MasksOption = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs a size.")] = 10,
    device: DeviceOption = Device.CPU,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
) -> None:
    """Time every stage of a pipeline; `HELP` is what the user sees."""
    from oodseg.io.images import read_image

    given = None if picture is None else read_image(picture)
    loads = []
    for _ in range(2):  # the first one imports torch and its kin, the second one only loads weights
        started = time.perf_counter()
        s2m = load_pipeline(
            pipeline, device, detector=detector, prompts=prompts, masks=masks, threads=threads
        )
        loads.append(time.perf_counter() - started)
    results = [time_size(s2m, given, width, height, runs) for width, height in SIZES]
    report = {
        "machine": _machine(),
        "pipeline": pipeline,
        "device": s2m.device,
        "threads": threads,
        "first_load_seconds": round(loads[0], 3),
        "load_seconds": round(loads[1], 3),
        "results": results,
    }
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        _show(report)


def time_size(
    s2m: S2M, picture: NDArray[np.uint8] | None, width: int, height: int, runs: int
) -> dict[str, Any]:
    """Times the pipeline at one size.

    Args:
        s2m: The pipeline.
        picture: uint8 `[H, W, 3]` RGB, resized to fit; None for a drawn scene.
        width: Columns.
        height: Rows.
        runs: Timed runs, after two to warm up.

    Returns:
        `width`, `height`, `runs`, `objects`, `milliseconds` (stage to median) and `peak_mib` (of the process
        up to here; None where the system does not say).
    """
    from oodseg.core.files import write_bytes
    from oodseg.io.images import resize

    if picture is None:
        picture = _drawn(width // 2, height // 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scene.jpg")
        write_bytes(path, _jpeg(resize(picture, height, width)))
        del picture
        for _ in range(2):
            found = s2m(path)
        timings = [s2m(path).timings for _ in range(runs)]
    return {
        "width": width,
        "height": height,
        "runs": runs,
        "objects": len(found.objects),
        "milliseconds": {stage: round(median(each[stage] for each in timings), 1) for stage in STAGES},
        "peak_mib": peak_mib(),
    }


def _drawn(width: int, height: int) -> NDArray[np.uint8]:
    # Drawn at half size and enlarged: drawing must not be what needs the most memory.
    import numpy as np

    from oodseg.synth.drawn import draw_scene

    return draw_scene(np.random.default_rng(0), (height, width), 3).image


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    import cv2

    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return bytes(data)


def peak_mib() -> int | None:
    """The most memory this process has held, in MiB; None on systems that do not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _machine() -> dict[str, Any]:
    import os

    import torch

    from oodseg.core.version import __version__

    return {
        "system": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "oodseg": __version__,
    }


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(
        title=f"{report['pipeline']}, {report['threads']} threads on {report['device']}: ms a picture"
    )
    table.add_column("picture")
    for stage in STAGES:
        table.add_column(stage, justify="right", style="bold" if stage == "total" else None)
    table.add_column("objects", justify="right")
    table.add_column("peak MiB", justify="right")
    for each in report["results"]:
        stages = [f"{each['milliseconds'][stage]:.0f}" for stage in STAGES]
        peak = "?" if each["peak_mib"] is None else str(each["peak_mib"])
        table.add_row(f"{each['width']}x{each['height']}", *stages, str(each["objects"]), peak)
    console.print(table)
    machine = report["machine"]
    console.print(
        Text(
            f"medians of {report['results'][0]['runs']} warm runs; "
            f"weights loaded in {report['load_seconds']:.2f} s, "
            f"with imports in {report['first_load_seconds']:.1f} s; "
            f"{machine['cores']} cores ({machine['processor']}), torch {machine['torch']}",
            style="dim",
        ),
        soft_wrap=True,
    )
