"""Defines the options that verbs under `oodseg train` share."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[Path | None, typer.Option(help="Folder of the training data.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the run: weights, curve, checkpoint.", show_default=False),
]
Resume = Annotated[bool, typer.Option(help="Resume from the last checkpoint in that folder.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one entry of the recipe; may be repeated."),
]
PrintRecipe = Annotated[bool, typer.Option("--print-recipe", help="Print the recipe as YAML and stop.")]
Generator = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Folder of `oodseg train resynthesis`.", show_default=False),
]


def recipe_option(kind: str) -> Any:
    """The option `--recipe`, whose help lists the shipped recipes of a kind."""
    folder = files("oodseg") / "training" / "recipes"
    names = sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.startswith(kind))
    return typer.Option(metavar="NAME|FILE", help=f"Shipped recipe ({', '.join(names)}) or a YAML file.")
