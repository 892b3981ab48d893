"""`oodseg compare`: what a training on mined objects has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.loading import DeviceOption
from oodseg.cli.printing import console, say

HELP = """Compare two pipelines, before and after a training, on what was mined.

Counts how many mined objects each of them finds (intersection over union of at least one half), how many \
rejected things it finds again, and how many boxes it draws on ordinary images. One image in twenty is held \
out of training by `oodseg train --more-objects`; its objects are counted apart. Where chance alone may have \
made a difference, it says so instead of better or worse.

[bold]Example[/bold]

oodseg compare street grown --objects corrected --objects picks.json --negatives picks.json --ordinary photos
"""
_SOURCE = "DIR|FILE"


def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="Bundled pipeline, or its folder.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Likewise: the one trained later.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the report.")] = Path(
        "oodseg-results/compare"
    ),
    objects: Annotated[
        list[Path] | None,
        typer.Option(
            metavar=_SOURCE,
            help="Unknown objects: what `oodseg train --more-objects` takes; may be given again.",
            show_default=False,
        ),
    ] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            metavar=_SOURCE,
            help="Things wrongly found: what `oodseg train --more-negatives` takes; may be given again.",
            show_default=False,
        ),
    ] = None,
    ordinary: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Images in which nothing is unknown.", show_default=False),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Compare two pipelines on what was mined; `HELP` is what the user sees."""
    from rich.table import Table

    from oodseg.core.progress import progress_bar
    from oodseg.runs import compare as run

    with progress_bar() as bar:
        found = run(
            before,
            after,
            out,
            objects=objects or (),
            negatives=negatives or (),
            ordinary=ordinary or (),
            device=device,
            progress=bar,
        )
    table = Table("", "before", "after", "of", "", box=None, pad_edge=False)
    for each in found.figures:
        table.add_row(each.name, str(each.before), str(each.after), each.total, each.verdict)
    console().print(table)
    for file in found.files:
        say(f"wrote {file}")
