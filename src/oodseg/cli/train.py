"""`oodseg train`: make the parts of a pipeline from data, one verb per part, and put them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oodseg.cli.train_failures import comparator, resynthesis, unknown
from oodseg.cli.train_prompts import prompts
from oodseg.cli.train_volumes import slices, volumes
from oodseg.cli.training import Request, training, training_libraries
from oodseg.cli.typed import was_typed
from oodseg.core.errors import ConfigError

train_app = typer.Typer(
    no_args_is_help=True,
    help="Train the parts of a pipeline: segmenter, detector, prompts and masks, then bundle.",
)
AnySegmenter = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RUN|PART",
        help="Folder of `oodseg train segmenter`, or street for the bundled network; given again, the "
        "networks work as an ensemble. With --method one segmenter with features, e.g. street or "
        "segformer:FOLDER; for mask2anomaly and rba mask2former:ID.",
        show_default=False,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="Train a head beside the segmenter by a published method: meta_ood, energy_margin, pebal, rpl, "
        "densehybrid, synboost, and around a Mask2Former mask2anomaly, rba. Without one, fit the street "
        "detector.",
        show_default=False,
    ),
]


def _part_option(key: str) -> Any:
    text = f"Folder of `oodseg train {key}`, a pipeline that has the part (as street), or the part's name."
    return typer.Option(metavar="RUN|PIPELINE|PART", help=text)


@train_app.command()
@training("segmenter", mines=True)
def segmenter(request: Request) -> Path:
    """Train the street network: seven classes and objectness, with outlier exposure."""
    from oodseg.training.segmenter import SegmenterRecipe, train

    settings, data, out = request.settings(SegmenterRecipe)
    return train(settings, data, out, request.resume, request.progress).path


@train_app.command()
@training("detector", mines=True)
def detector(
    request: Request, ctx: typer.Context, segmenter: AnySegmenter = None, method: Method = None
) -> Path:
    """Fit the score of the street network, or train a detector around any segmenter."""
    from oodseg.training import detector as street
    from oodseg.training.exposure.methods import method_of
    from oodseg.training.exposure.run import segmenter_of, train
    from oodseg.training.street_networks import network_of

    if method is None:
        if was_typed(ctx, "resume"):
            raise ConfigError(
                "--resume and --no-resume say nothing without --method, where the detector is fitted in one "
                "go: leave them out"
            )
        settings, data, out = request.settings(street.DetectorRecipe)
        if not segmenter:
            raise ConfigError("the detector is fitted around a network: name its run with --segmenter")
        network = network_of(segmenter)
        return street.train(settings, data, out, network, request.progress).path
    request = request.preferring(f"detector_{method}", "detector")
    taught, data, out = request.settings(method_of(method).recipe_class)
    if not segmenter or len(segmenter) > 1:
        raise ConfigError(f"{method} is trained beside one segmenter: name it with --segmenter, once")
    given = segmenter_of(segmenter[0])
    return train(method, taught, data, out, given, request.resume, request.progress).path


train_app.command()(prompts)


@train_app.command()
@training("masks", mines=True)
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
    bits: Annotated[int, typer.Option(help="Bits per stored weight: 16 or 8.")] = 16,
) -> None:
    """Put trained parts together into a pipeline folder for --pipeline."""
    with training_libraries():
        from oodseg.training.assembly import assemble

        assemble(detector, prompts, masks, out, bits)
        typer.echo(f"wrote {out}")


for each in (resynthesis, comparator, unknown, slices, volumes):
    train_app.command()(each)
