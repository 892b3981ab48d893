"""Defines the options that say how networks compute."""

from __future__ import annotations

from typing import Annotated

import typer

from oodseg.cli.choices import Precision

PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="auto: 16 bits in networks that were measured with them, on devices that are fast at it; full: "
        "32 bits; half: 16 bits in all detectors."
    ),
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=32,
        metavar="PIXELS",
        help="Long side at which images are looked at: smaller is faster, larger finds smaller objects. If "
        "not given, half an image's own, 640 to 1024. Outlines are always drawn at full size.",
        show_default=False,
    ),
]
BatchOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Images that the detector sees at once: faster on a GPU.")
]
