"""Defines the options that verbs under `oodseg train` share."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from oodseg.core.errors import ConfigError

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
Devices = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes on this machine that share every batch, with a GPU each where there are some; "
        "by default as the recipe says: 1.",
        show_default=False,
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        help="How processes work together, as Lightning calls it: ddp, ddp_find_unused_parameters_true; "
        "by default as the recipe says: auto.",
        show_default=False,
    ),
]
NumNodes = Annotated[
    int | None,
    typer.Option(
        min=1, help="Machines that run this command; by default as the recipe says: 1.", show_default=False
    ),
]
MoreObjects = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR|FILE",
        help="Unknown objects beside those of the data: labels that `oodseg export-labels` wrote and people "
        "corrected, results of `oodseg predict`, or picks.json of `oodseg mine` (what was kept).",
        show_default=False,
    ),
]
MoreNegatives = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR|FILE",
        help="Likewise, things that were wrongly found; of picks.json what was rejected.",
        show_default=False,
    ),
]
Generator = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Folder of `oodseg train resynthesis`.", show_default=False),
]


def recipe_option(kind: str) -> Any:
    """The option `--recipe`, whose help lists the shipped recipes of a kind."""
    folder = files("oodseg") / "training" / "recipes"
    names = sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.startswith(kind))
    return typer.Option(metavar="NAME|FILE", help=f"Shipped recipe ({', '.join(names)}) or a YAML file.")


def entries(by_steps: bool, on_scenes: bool) -> dict[str, tuple[Any, Any]]:
    """Lists options that stand for entries of the recipe, with their defaults.

    Args:
        by_steps: Of trainings that several processes can share.
        on_scenes: Of trainings on scenes.
    """
    found: dict[str, tuple[Any, Any]] = {}
    if by_steps:
        found |= {"devices": (Devices, None), "strategy": (Strategy, None), "num_nodes": (NumNodes, None)}
    if on_scenes:
        found |= {"more_objects": (MoreObjects, None), "more_negatives": (MoreNegatives, None)}
    return found


def as_changes(options: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Turns options that stand for entries of the recipe into changes, as `--set` has them.

    Args:
        options: As `entries` names them; None for those that were not given.
        known: Entries of the recipe.

    Raises:
        ConfigError: The recipe has no such entry.
    """
    changes = []
    for name, value in options.items():
        if value is None:
            continue
        entry = f"mix.{name}" if name.startswith("more_") and "mix" in known else name
        if entry.partition(".")[0] not in known:
            raise ConfigError(
                f"--{name.replace('_', '-')} has no meaning here: this part is fitted, not trained by steps; "
                "leave it out"
            )
        changes.append(f"{entry}={json.dumps(value)}")
    return changes
