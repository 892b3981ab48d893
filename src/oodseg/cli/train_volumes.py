"""`oodseg train slices` and `oodseg train volumes`: a failure detector for scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.train_options import Generator
from oodseg.cli.training import Request, training
from oodseg.core.errors import ConfigError

_VERBS = ("train", "validate", "test")


def slices(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="A Medical Decathlon task as unpacked: Task07_Pancreas.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the slices: --data of the other trainings.")
    ],
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Predictions for these scans by models that were not trained on them, named like the"
            " scans, as from a cross-validation.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Values that become black and white (Hounsfield units)."),
    ] = (-100.0, 240.0),
) -> None:
    """Cut labelled scans into slices for training a failure detector for volumes."""
    from oodseg.core.progress import progress_bar
    from oodseg.data.msd import export_slices

    with progress_bar() as bar:
        counts = export_slices(data, out, window, predictions, bar)
    said = ", ".join(f"{count} to {verb}" for count, verb in zip(counts.values(), _VERBS, strict=True))
    typer.echo(f"wrote {out}: slices {said}")


@training("comparator_pancreas", kind="comparator")
def volumes(request: Request, generator: Generator = None) -> Path:
    """Train a failure detector for labels of volumes, on slices of `oodseg train slices`."""
    from oodseg.training.comparator import ComparatorRecipe
    from oodseg.training.resynthesis import load_generator
    from oodseg.training.volumes import train

    settings, data, out = request.settings(ComparatorRecipe)
    if generator is None:
        raise ConfigError("the comparator needs a generator: name its run with --generator")
    return train(settings, data, out, load_generator(generator), request.resume, request.progress).path
