"""`oodseg train`: make the parts of a pipeline from data, one verb per part, and put them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oodseg.cli.train_failures import comparator, resynthesis, unknown
from oodseg.cli.train_prompts import prompts
from oodseg.cli.train_volumes import slices, volumes
from oodseg.cli.training import Request, training, training_libraries
from oodseg.core.errors import ConfigError

train_app = typer.Typer(
    no_args_is_help=True,
    help="Train the parts of a pipeline: segmenter, detector, prompts and masks, then bundle.",
)
SegmenterRun = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Folder of `oodseg train segmenter`.", show_default=False)
]


def _part_option(key: str) -> Any:
    text = f"Folder of `oodseg train {key}`, a pipeline that has the part (as street), or the part's name."
    return typer.Option(metavar="RUN|PIPELINE|PART", help=text)


@train_app.command()
@training("segmenter")
def segmenter(request: Request) -> Path:
    """Train the street network: seven classes and objectness, with outlier exposure."""
    from oodseg.training.segmenter import SegmenterRecipe, train

    settings, data, out = request.settings(SegmenterRecipe)
    return train(settings, data, out, request.resume, request.progress).path


@train_app.command()
@training("detector", resumes=False)
def detector(request: Request, segmenter: SegmenterRun = None) -> Path:
    """Fit how the network's scores are combined, and their statistics on ordinary streets."""
    from oodseg.training.detector import DetectorRecipe, train
    from oodseg.training.engine.trained import load_trained

    settings, data, out = request.settings(DetectorRecipe)
    if segmenter is None:
        raise ConfigError("the detector is fitted around a network: name its run with --segmenter")
    return train(settings, data, out, load_trained(segmenter, "segmenter"), request.progress).path


train_app.command()(prompts)


@train_app.command()
@training("masks")
def masks(request: Request) -> Path:
    """Train the promptable segmenter that turns boxes into outlines."""
    from oodseg.training.masks import MasksRecipe, train

    settings, data, out = request.settings(MasksRecipe)
    return train(settings, data, out, request.resume, request.progress).path


@train_app.command()
def bundle(
    detector: Annotated[str, _part_option("detector")],
    prompts: Annotated[str, _part_option("prompts")],
    masks: Annotated[str, _part_option("masks")],
    out: Annotated[Path, typer.Option(help="Folder of the pipeline.")],
    bits: Annotated[int, typer.Option(help="How weights are stored: in 16 or 8 bits.")] = 16,
) -> None:
    """Put trained parts together into a pipeline folder for --pipeline."""
    with training_libraries():
        from oodseg.training.assembly import assemble

        assemble(detector, prompts, masks, out, bits)
        typer.echo(f"wrote {out}")


for each in (resynthesis, comparator, unknown, slices, volumes):
    train_app.command()(each)
