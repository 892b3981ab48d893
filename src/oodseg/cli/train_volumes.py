"""`oodseg train slices` and `oodseg train volumes`: a failure detector for scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.training import (
    Changes,
    Data,
    Out,
    PrintRecipe,
    Resume,
    both_folders,
    finished,
    print_recipe_of,
    read_recipe,
    recipe_option,
    training_libraries,
    wrote,
)
from oodseg.core.errors import ConfigError

_VERBS = ("train", "validate", "test")


def slices(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="A Medical Decathlon task as unpacked: Task07_Pancreas.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the slices: --data of the trainings.")],
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Predictions of these scans by models that had not seen them, named like the scans: what a "
            "cross-validation leaves.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Values that become black and white (Hounsfield units)."),
    ] = (-100.0, 240.0),
) -> None:
    """Cut labelled scans into slices to train a failure detector for volumes on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from oodseg.data.msd import export_slices

    if window[0] >= window[1]:
        raise ConfigError(f"--window {window[0]:g} {window[1]:g}: the second value must be the larger one")
    columns = TextColumn("cutting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        counts = export_slices(
            data,
            out,
            window,
            predictions,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    said = ", ".join(f"{count} to {verb}" for count, verb in zip(counts.values(), _VERBS, strict=True))
    typer.echo(f"wrote {out}: slices {said}")


def volumes(
    generator: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Folder of `oodseg train resynthesis` on these slices.", show_default=False
        ),
    ] = None,
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("comparator")] = "comparator_pancreas",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train a failure detector that judges labels of volumes, on slices of `oodseg train slices`."""
    with training_libraries():
        from oodseg.training.comparator import ComparatorRecipe
        from oodseg.training.resynthesis import load_generator
        from oodseg.training.volumes import train

        settings = read_recipe(recipe, ComparatorRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        if generator is None:
            raise ConfigError("the comparator needs a generator: name its run with --generator")
        wrote(train(settings, data, out, load_generator(finished(generator, "resynthesis")), resume))
