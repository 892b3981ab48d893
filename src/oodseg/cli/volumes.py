"""`oodseg volumes`: where the labels of a scan are likely wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.choices import NumberFormat, Precision
from oodseg.cli.compute_options import PrecisionOption
from oodseg.cli.judging import ErrorFormatOption, conclude, read_codes
from oodseg.cli.loading import DeviceOption
from oodseg.cli.run_options import OutOption, OverwriteOption

HELP = """Find where the labels of a scan are likely wrong, without ground truth.

Labels from any model are judged slice by slice. Every structure gets an estimated Dice, error.nii.gz is \
the error map as a volume, and index.html shows the slices, lowest estimated quality first. An interrupted \
run resumes with the same command.

[bold]Examples[/bold]

oodseg volumes scan.nii.gz --prediction labels.nii.gz

oodseg volumes scan.nii.gz --detector hippocampus

oodseg volumes scan.nii.gz --prediction labels.nii.gz --detector my_pancreas --structure pancreas=7
"""

StructureOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=CODE",
        help="Structure and its code in these labels; may be repeated, also with several codes "
        "for one structure. Needed only if the codes are not the detector's own.",
        show_default=False,
    ),
]
VolumeOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="K",
        help="Which volume, from 0, of a scan with several along a fourth dimension (times, echoes).",
        show_default=False,
    ),
]


def volumes(
    scan: Annotated[Path, typer.Argument(metavar="SCAN.nii.gz", help="The scan.")],
    prediction: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS.nii.gz",
            help="Labels of the scan to judge, from any model. Default: those of the segmenter that comes "
            "with a trained detector.",
            show_default=False,
        ),
    ] = None,
    detector: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR",
            help="A failure detector for volumes: hippocampus (MR), a folder of `oodseg train volumes`; or "
            "consistency, which needs no training and compares every label with how its voxels look.",
        ),
    ] = "consistency",
    out: OutOption = None,
    structure: StructureOption = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Values of the scan that become black and white. Default: those of the detector's training.",
            show_default=False,
        ),
    ] = None,
    volume: VolumeOption = None,
    error_format: ErrorFormatOption = NumberFormat.PNG,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
) -> None:
    """Say where the labels of a scan are likely wrong; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import judge_volume

    with progress_bar() as bar:
        found = judge_volume(
            scan,
            prediction,
            detector,
            out,
            structures=read_codes("--structure", structure or []),
            window=window,
            volume=volume,
            device=device,
            precision=precision.value,
            error_format=error_format.value,
            fresh=overwrite,
            progress=bar,
        )
    conclude(found)
