"""`oodseg train`: make the parts of a pipeline from data, one verb a part, and put them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from oodseg.core.errors import ConfigError, WeightsError

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

        settings = read_recipe(recipe, SegmenterRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        wrote(train(settings, data, out, resume))


@train_app.command()
def detector(
    segmenter: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train segmenter`.")],
    data: Annotated[Path, typer.Option(help="Folder of the training data.")],
    out: Annotated[Path, typer.Option(help="Folder for the detector.")],
) -> None:
    """Fit how the network's scores are combined, and their statistics on ordinary streets."""
    with training_libraries():
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
        from oodseg.training.prompts import PromptRecipe, train

        settings = read_recipe(recipe, PromptRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        if detector is None:
            raise ConfigError("the generator learns on a detector's scores: name that run with --detector")
        from oodseg.training.detector import load_detector

        loaded = load_detector(finished(detector, "detector").parent)
        train(settings, data, out, loaded, resume)
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

        settings = read_recipe(recipe, MasksRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        wrote(train(settings, data, out, resume))


@train_app.command()
def resynthesis(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("resynthesis")] = "resynthesis",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the generator that makes a picture out of a label map."""
    with training_libraries():
        from oodseg.training.resynthesis import ResynthesisRecipe, train

        settings = read_recipe(recipe, ResynthesisRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        wrote(train(settings, data, out, resume))


@train_app.command()
def comparator(
    generator: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Folder of `oodseg train resynthesis`.", show_default=False),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="The segmenter under test, e.g. street or segformer:FOLDER; trained here if not given.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("comparator")] = "comparator",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train failure detectors: SynthCP's comparator, and what it is measured against."""
    with training_libraries():
        from oodseg.core.spec import build_segmenter
        from oodseg.training.comparator import ComparatorRecipe, train
        from oodseg.training.resynthesis import load_generator

        settings = read_recipe(recipe, ComparatorRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        made = None if generator is None else load_generator(finished(generator, "resynthesis"))
        judged = None if segmenter is None else build_segmenter(segmenter)
        wrote(train(settings, data, out, made, judged, resume))


@train_app.command()
def unknown(
    failures: Annotated[
        str,
        typer.Option(
            metavar="DETECTOR",
            help="The failure detector to teach: street, or the folder detectors/synthcp of `oodseg train "
            "comparator`.",
        ),
    ] = "street",
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("unknown")] = "unknown",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Teach SynthCP's comparator which of the wrong pixels are unknown objects."""
    with training_libraries():
        from oodseg.training.unknown import UnknownRecipe, train

        settings = read_recipe(recipe, UnknownRecipe, changes)
        if print_recipe:
            return print_recipe_of(settings)
        data, out = both_folders(data, out)
        wrote(train(settings, data, out, failures, resume))


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
        from oodseg.pipeline import S2M
        from oodseg.training.detector import load_detector

        S2M(
            detector=load_detector(finished(detector, "detector").parent),
            prompts=_trained(finished(prompts, "prompts"), "prompts", "faster_rcnn"),
            masks=_trained(finished(masks, "masks"), "masks", "compact"),
            name=out.resolve().name,
        ).save_pretrained(out, bits)
        wrote(out)


def _trained(path: Path, key: str, name: str) -> Any:
    """Rebuilds a trained part from the weight file of its run; the file's header holds its settings."""
    import json

    from oodseg.core.bundle import load_part, read_header

    try:
        config = json.loads(read_header(path)["config"])
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path} is no whole weight file of a training: train that part again") from error
    return load_part(path.parent, {key: {"name": name, "config": config, "weights": path.name}}, key)
