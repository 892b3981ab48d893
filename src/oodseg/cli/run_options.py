"""Defines the options of every verb that works on many inputs and can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for the results; those of earlier runs stay. Default: oodseg-results, or a new "
        "folder in it if that holds results of other settings or images.",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Redo finished work; in a folder named with --out, discard results of other settings.",
    ),
]
