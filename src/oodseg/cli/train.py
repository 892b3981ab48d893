"""`oodseg train`: make the parts of a pipeline from data, one verb per part, and put them together."""

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
    prepare,
    recipe_option,
    training_libraries,
    wrote,
)
from oodseg.core.errors import ConfigError

train_app = typer.Typer(
    no_args_is_help=True,
    help="Train the parts of a pipeline: segmenter, detector, prompts and masks, then bundle.",
)


@train_app.command()
def segmenter(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("segmenter")] = "segmenter",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the street network: seven classes and objectness, with outlier exposure."""
    with training_libraries():
        from oodseg.training.segmenter import SegmenterRecipe, train

        settings, data, out = prepare(recipe, SegmenterRecipe, changes, print_recipe, data, out)
        wrote(train(settings, data, out, resume))


@train_app.command()
def detector(
    segmenter: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train segmenter`.")],
    data: Annotated[Path, typer.Option(help="Folder of the training data.")],
    out: Annotated[Path, typer.Option(help="Folder for the detector.")],
) -> None:
    """Fit how the network's scores are combined, and their statistics on ordinary streets."""
    with training_libraries():
        from oodseg.training.assembly import finished
        from oodseg.training.detector import fit_detector

        fit_detector(finished(segmenter, "segmenter"), data, out)
        wrote(out / "detector.safetensors")


@train_app.command()
def prompts(
    detector: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Folder of `oodseg train detector`.", show_default=False),
    ] = None,
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("prompts")] = "prompts",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the prompt generator on the detector's score maps."""
    with training_libraries():
        from oodseg.training.assembly import finished
        from oodseg.training.detector import load_detector
        from oodseg.training.prompts import PromptRecipe, train

        settings, data, out = prepare(recipe, PromptRecipe, changes, print_recipe, data, out)
        if detector is None:
            raise ConfigError("the generator learns on a detector's scores: name that run with --detector")
        train(settings, data, out, load_detector(finished(detector, "detector").parent), resume)
        wrote(out / "prompts.safetensors")


@train_app.command()
def masks(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("masks")] = "masks",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the promptable segmenter that turns boxes into outlines."""
    with training_libraries():
        from oodseg.training.masks import MasksRecipe, train

        settings, data, out = prepare(recipe, MasksRecipe, changes, print_recipe, data, out)
        wrote(train(settings, data, out, resume))


@train_app.command()
def bundle(
    detector: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train detector`.")],
    prompts: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train prompts`.")],
    masks: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train masks`.")],
    out: Annotated[Path, typer.Option(help="Folder of the pipeline.")],
    bits: Annotated[int, typer.Option(help="How weights are stored: in 16 or 8 bits.")] = 16,
) -> None:
    """Put the trained parts together into a pipeline folder for --pipeline."""
    with training_libraries():
        from oodseg.training.assembly import assemble

        assemble(detector, prompts, masks, out, bits)
        wrote(out)
