"""Defines the options that say how networks compute."""

from __future__ import annotations

from typing import Annotated

import typer

from oodseg.cli.choices import Precision, Runtime

PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="auto: 16 bits in networks evaluated in 16 bits, on devices that are fast at it; full: "
        "32 bits; half: 16 bits in all detectors."
    ),
]
RuntimeOption = Annotated[
    Runtime,
    typer.Option(help="What runs the bundled networks on a CPU; auto: the fastest one installed."),
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=32,
        metavar="PIXELS",
        help="Long side to which images are resized for detection: smaller is faster, larger finds "
        "smaller objects. Default: half of the image's own, 640 to 1024. Outlines are always at "
        "full size.",
        show_default=False,
    ),
]
BatchOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Images per batch of the detector: faster on a GPU.")
]
