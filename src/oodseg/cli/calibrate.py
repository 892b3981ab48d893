"""`oodseg calibrate`: what can be promised of new images, learned on labelled ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.choices import Device
from oodseg.cli.loading import DeviceOption
from oodseg.cli.printing import say

HELP = """Learn on labelled images what can be promised of new ones, and save it.

--interval: the intervals in which the true mean IoU of a segmented image lies, for `oodseg failures`. DATA \
holds images/ and labels/, paired by name; labels are indices into the failure detector's classes, 255 where \
there is no truth.

A promise is about images of the same source as DATA, as if drawn at random with them (exchangeable). It \
does not hold for another camera, season or city, nor if segmenter or detector learned on DATA.

[bold]Examples[/bold]

oodseg calibrate my_labelled_images/ --interval 0.9 --out my_judge

oodseg failures photos/ --detector my_judge
"""


class Quality(StrEnum):
    """Names what the mean over an image's classes is of."""

    IOU = "IoU"
    DICE = "Dice"


def calibrate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of labelled images.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the calibrated copy.")],
    interval: Annotated[
        float, typer.Option(metavar="LEVEL", help="How often an interval is to hold the truth, such as 0.9.")
    ] = 0.9,
    quality: Annotated[Quality, typer.Option(help="Mean IoU or mean Dice of an image.")] = Quality.IOU,
    detector: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR",
            help="The failure detector: street, a folder of a trained one, or a baseline such as msp.",
        ),
    ] = "street",
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="PART", help="The segmenter to judge, if not the detector's own.", show_default=False
        ),
    ] = None,
    device: DeviceOption = Device.CPU,
) -> None:
    """Learn on labelled images what can be promised; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import calibrate_intervals

    with progress_bar() as bar:
        found = calibrate_intervals(
            data,
            detector,
            out,
            level=interval,
            quality=quality.value,
            segmenter=segmenter,
            device=device.value,
            progress=bar,
        )
    say(f"wrote {out}: {found.promise()}")
    say(f"next: oodseg failures IMAGES --detector {out}")
