"""`oodseg train slices` and `oodseg train volumes`: a failure detector for scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.judging import read_codes
from oodseg.cli.train_options import Generator
from oodseg.cli.training import Request, training
from oodseg.cli.volumes import StructureOption, VolumeOption
from oodseg.core.errors import ConfigError

_VERBS = ("train", "validate", "test")


def slices(
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="A Medical Decathlon task as unpacked, such as Task07_Pancreas; or a folder with images/ "
            "and labels/, with --structure.",
        ),
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
    window_each: Annotated[
        bool,
        typer.Option(
            "--window-each",
            help="Instead, the 0.5 and 99.5 % quantiles of each scan: for MR, whose values have no unit.",
        ),
    ] = False,
    structure: StructureOption = None,
    volume: VolumeOption = None,
    fold: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Keep the K-th N-th of the scans (0/4: the first quarter) to test on, instead of a tenth.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Cut labelled scans into slices for training a failure detector for volumes."""
    from oodseg.core.progress import progress_bar
    from oodseg.data.msd import export_slices

    with progress_bar() as bar:
        counts = export_slices(
            data,
            out,
            None if window_each else window,
            predictions,
            bar,
            structures=read_codes("--structure", structure or []),
            fold=None if fold is None else read_fold(fold),
            volume=volume,
        )
    said = ", ".join(f"{count} to {verb}" for count, verb in zip(counts.values(), _VERBS, strict=True))
    typer.echo(f"wrote {out}: slices {said}")


def read_fold(argument: str) -> tuple[int, int]:
    """Parses `K/N`.

    Raises:
        ConfigError: Something else was written.
    """
    number, _, folds = argument.partition("/")
    if not (number.isdecimal() and folds.isdecimal()):
        raise ConfigError(f"--fold {argument}: write K/N with K from 0, e.g. 0/4")
    return int(number), int(folds)


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
