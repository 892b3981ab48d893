"""`oodseg calibrate`: what can be promised of new images, learned on labelled ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.choices import Quality
from oodseg.cli.compute_options import SizeOption
from oodseg.cli.loading import DeviceOption, PipelineOption
from oodseg.cli.printing import say
from oodseg.cli.typed import refuse
from oodseg.core.errors import ConfigError

HELP = """Use labelled images to give guarantees for new ones, and save them.

--risk: the confidence below which `oodseg predict` drops boxes, so that on average no more is missed than \
requested (miss=0.1: a tenth of an image's anomalous pixels; miss_objects=0.1: of its objects), or no more \
false alarms are raised per image (false_alarms=0.5). DATA has the layout of a benchmark, such as images/ \
and labels/ (1: anomaly, 255: ignored).

--interval: the intervals in which the true mean IoU of a segmented image lies, for `oodseg failures`. \
DATA holds images/ and labels/, paired by name; labels are indices into the failure detector's classes, \
255 where there is no truth.

A guarantee covers images from the same source as DATA, as if drawn at random with them (exchangeable). It \
does not hold for another camera, season or city, nor if any part was trained on DATA.

[bold]Examples[/bold]

oodseg calibrate my_anomalies/ --risk miss=0.1 --out my_pipeline

oodseg predict photos/ --pipeline my_pipeline

oodseg calibrate my_labelled_images/ --interval 0.9 --out my_judge

oodseg failures photos/ --detector my_judge
"""


def calibrate(
    ctx: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of labelled images.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the calibrated copy.")],
    risk: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=MEAN",
            help="Risk to control, and its highest mean per image: miss, miss_objects or false_alarms.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(metavar="LEVEL", help="Coverage of the intervals, e.g. 0.9.", show_default=False),
    ] = None,
    pipeline: PipelineOption = "street",
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
    device: DeviceOption = "auto",
    size: SizeOption = None,
) -> None:
    """Learn on labelled images what can be promised; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import calibrate_boxes, calibrate_intervals

    if (risk is None) == (interval is None):
        raise ConfigError("say what to calibrate: either --risk NAME=MEAN or --interval LEVEL")
    if risk is not None:
        refuse(ctx, ["detector", "segmenter", "quality"], "goes with --interval, not with --risk")
    else:
        refuse(ctx, ["pipeline", "size"], "goes with --risk, not with --interval")
    with progress_bar() as bar:
        if risk is not None:
            name, target = read_risk(risk)
            promise = calibrate_boxes(
                data, pipeline, out, risk=name, target=target, device=device, size=size, progress=bar
            ).promise()
        else:
            promise = calibrate_intervals(
                data,
                detector,
                out,
                level=interval or 0.0,
                quality=quality.value,
                segmenter=segmenter,
                device=device,
                progress=bar,
            ).promise()
    say(f"wrote {out}: {promise}")
    verb = "failures IMAGES --detector" if risk is None else "predict IMAGES --pipeline"
    say(f"next: oodseg {verb} {out}")


def read_risk(argument: str) -> tuple[str, float]:
    """Parses `NAME=MEAN`.

    Raises:
        ConfigError: Something else was written.
    """
    name, _, number = argument.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise ConfigError(f"--risk {argument}: write NAME=MEAN, such as miss=0.1") from None
