"""`oodseg train resynthesis`, `comparator` and `unknown`: failure detectors for images."""

from __future__ import annotations

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


def resynthesis(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, recipe_option("resynthesis")] = "resynthesis",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the generator that makes an image out of a label map."""
    with training_libraries():
        from oodseg.training.resynthesis import ResynthesisRecipe, train

        settings, data, out = prepare(recipe, ResynthesisRecipe, changes, print_recipe, data, out)
        wrote(train(settings, data, out, resume))


def comparator(
    generator: Generator = None,
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
        from oodseg.core.build import build_segmenter
        from oodseg.training.assembly import finished
        from oodseg.training.comparator import ComparatorRecipe, train
        from oodseg.training.resynthesis import load_generator

        settings, data, out = prepare(recipe, ComparatorRecipe, changes, print_recipe, data, out)
        made = None if generator is None else load_generator(finished(generator, "resynthesis"))
        judged = None if segmenter is None else build_segmenter(segmenter)
        wrote(train(settings, data, out, made, judged, resume))


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

        settings, data, out = prepare(recipe, UnknownRecipe, changes, print_recipe, data, out)
        wrote(train(settings, data, out, failures, resume))
