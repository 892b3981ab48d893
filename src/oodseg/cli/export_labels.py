"""`oodseg export-labels`: what was found, in the format of a labelling tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.printing import print_facts, say

HELP = """Write what `oodseg predict` found in the format of a labelling tool.

Masks are preserved pixel by pixel; if a format cannot hold them (polygons have no holes), a note says \
what is lost. After correcting them, export them from the tool in the same format: `oodseg evaluate` reads \
the folder as ground truth.

[bold]Examples[/bold]

oodseg export-labels oodseg-results --format cvat --out to-correct

oodseg evaluate corrected

oodseg export-labels oodseg-results --picks picks.json --format label-studio --out rare
"""


class Images(StrEnum):
    """Names what becomes of the images."""

    COPY = "copy"
    LINK = "link"
    NONE = "none"


def export_labels(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `oodseg predict` wrote.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the labels.")],
    format: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="One of: coco, coco-panoptic, cvat, fiftyone, huggingface, label-studio, labelme, oodis, "
            "smiyc, supervisely, yolo.",
        ),
    ] = "coco",
    images: Annotated[
        Images, typer.Option(help="Put the images beside the labels: copies, symbolic links, or none.")
    ] = Images.COPY,
    picks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="picks.json of the gallery of `oodseg mine`: write only the objects that were kept.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write what was found in the format of a labelling tool; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.exchange import write

    with progress_bar() as bar:
        found = write(results, out, format, images=images.value, picks=picks, progress=bar)
    print_facts([("images", str(found.images)), ("unknown objects", str(found.objects))])
    for note in found.notes:
        say(f"note: {note}", "yellow")
    say(f"wrote {found.title} to {found.out}")
