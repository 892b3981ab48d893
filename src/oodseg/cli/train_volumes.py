"""`oodseg train slices` and `oodseg train volumes`: a failure detector for scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.training import (
    Changes,
    Data,
    Generator,
    Out,
    PrintRecipe,
    Resume,
    prepare,
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
    from oodseg.core.progress import progress_bar
    from oodseg.data.msd import export_slices

    with progress_bar() as bar:
        counts = export_slices(data, out, window, predictions, bar)
    said = ", ".join(f"{count} to {verb}" for count, verb in zip(counts.values(), _VERBS, strict=True))
    typer.echo(f"wrote {out}: slices {said}")


def volumes(
    generator: Generator = None,
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("comparator")] = "comparator_pancreas",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train a failure detector that judges labels of volumes, on slices of `oodseg train slices`."""
    with training_libraries():
        from oodseg.training.assembly import finished
        from oodseg.training.comparator import ComparatorRecipe
        from oodseg.training.resynthesis import load_generator
        from oodseg.training.volumes import train

        settings, data, out = prepare(recipe, ComparatorRecipe, changes, print_recipe, data, out)
        if generator is None:
            raise ConfigError("the comparator needs a generator: name its run with --generator")
        wrote(train(settings, data, out, load_generator(finished(generator, "resynthesis")), resume))
