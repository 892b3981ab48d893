"""`oodseg demo`: the main job on street scenes that need no data, with the truth beside what was found."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.cli.loading import DeviceOption, OperatingPointOption, PipelineOption
from oodseg.cli.printing import console, say

if TYPE_CHECKING:
    from rich.table import Table

    from oodseg.runs.demonstration import Demonstration, SceneResult


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for scenes and results.")] = Path("demo"),
    count: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the drawn scenes.")] = 0,
    pipeline: PipelineOption = "street",
    operating_point: OperatingPointOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw street scenes with unknown objects, outline these objects, and compare."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import demonstrate

    with progress_bar() as bar:
        shown = demonstrate(
            out, count, seed, pipeline, operating_point=operating_point, device=device, progress=bar
        )
    console().print(result_table(shown))
    for line in (
        "mean IoU: of every drawn object with the outline that fits it best.",
        "",
        f"image | overlay of every scene     {shown.sheet}",
        f"overlays at full size              {out / 'overlays'}",
        f"masks, confidence maps             {out / 'masks'}, {out / 'confidence'}",
        f"all objects in COCO form           {out / 'predictions.json'}",
        f"a page to look through             {out / 'index.html'}",
        "",
        "Your own images (files, folders or quoted patterns):",
        f"    {_command()} predict PATH/TO/IMAGES --out found",
    ):
        say(line)


def result_table(shown: Demonstration) -> Table:
    """One line per scene and one for all of them."""
    from rich.table import Table

    from oodseg.runs.demonstration import FOUND_AT

    table = Table(title="What was found against what was drawn")
    table.add_column("scene")
    for head in ("drawn", f"found (IoU >= {FOUND_AT})", "missed", "false alarms", "mean IoU"):
        table.add_column(head, justify="right")
    for name, each in shown.scenes.items():
        table.add_row(name, *_cells(each))
    table.add_section()
    table.add_row("all", *_cells(shown.total), style="bold")
    return table


def _cells(result: SceneResult) -> tuple[str, ...]:
    best_ious = result.best_ious
    mean = f"{sum(best_ious) / len(best_ious):.2f}" if best_ious else "-"
    return str(result.drawn), str(result.found), str(result.missed), str(result.false_alarms), mean


def _command() -> str:
    """Returns the command that runs this program: its bare name if the shell finds it, else its path."""
    called = Path(sys.argv[0])
    if called.stem != "oodseg":
        return "oodseg"
    known = shutil.which("oodseg")
    return "oodseg" if known is not None and Path(known).resolve() == called.resolve() else str(called)
