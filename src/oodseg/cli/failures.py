"""`oodseg failures`: where a segmentation is likely wrong, and which images to look at first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.choices import NumberFormat, Precision
from oodseg.cli.compute_options import PrecisionOption
from oodseg.cli.judging import ErrorFormatOption, conclude, read_codes
from oodseg.cli.loading import DeviceOption
from oodseg.cli.run_options import OutOption, OverwriteOption

HELP = """Find where a segmentation is likely wrong, without ground truth.

Every image gets an error map and an estimated IoU of every class. index.html shows image, prediction, \
re-synthesis and error map side by side, lowest estimated quality first; failures.json and failures.csv \
hold the same list. An interrupted run resumes with the same command. Labels of scans are judged by \
`oodseg volumes`.

[bold]Examples[/bold]

oodseg failures photos/

oodseg failures photos/ --segmenter segformer:my_model

Labels that you have already: oodseg failures photos/ --prediction labels/
"""


def failures(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Images, folders or patterns.")],
    out: OutOption = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR|FILE",
            help="street (SynthCP, with a small street network of its own), a folder of `oodseg train "
            "comparator`, a baseline: msp, entropy, energy, max_logit, crf, tta, mc_dropout, consistency, or "
            "a .yaml file (an ensemble). Default: street; msp for a --segmenter of yours; consistency for a "
            "--prediction.",
            show_default=False,
        ),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="The segmenter to judge: street, FAMILY:SOURCE or a .yaml file. Default: the "
            "detector's own.",
            show_default=False,
        ),
    ] = None,
    prediction: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Label images of your own, named like the images, to judge in place of a segmenter's.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=CODE",
            help="Which code of these labels is which class; once for every code in them, several may have "
            "the same class. Needed where the codes are not the detector's own; consistency takes every code "
            "for a class. 255, if it has no name, and void=CODE are not judged.",
            show_default=False,
        ),
    ] = None,
    second_opinion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Another segmenter of the same classes, to ask as well, e.g. street; may be given again. "
            "Finds more of the errors, for the time that it takes.",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="True labels, named like their images (indices into the classes, 255: unknown): what is "
            "estimated is measured on them, with risk-coverage curves on the page.",
            show_default=False,
        ),
    ] = None,
    error_format: ErrorFormatOption = NumberFormat.PNG,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
) -> None:
    """Say where a segmentation is likely wrong; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import judge

    with progress_bar() as bar:
        found = judge(
            paths,
            detector,
            out,
            segmenter=segmenter,
            predictions=prediction,
            classes=read_codes("--class", classes or []),
            second_opinions=second_opinion or (),
            truth=truth,
            device=device,
            precision=precision.value,
            error_format=error_format.value,
            fresh=overwrite,
            progress=bar,
        )
    conclude(found)
