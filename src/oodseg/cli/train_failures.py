"""`oodseg train resynthesis`, `comparator` and `unknown`: failure detectors for images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.train_options import Generator
from oodseg.cli.training import Request, training

JudgedSegmenter = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        help="The segmenter under test, e.g. street or segformer:FOLDER; trained here by default.",
        show_default=False,
    ),
]
TaughtDetector = Annotated[
    str,
    typer.Option(
        metavar="DETECTOR",
        help="The failure detector to extend: street, or the folder detectors/synthcp of `oodseg train "
        "comparator`.",
    ),
]


@training("resynthesis")
def resynthesis(request: Request) -> Path:
    """Train the generator that synthesises images from label maps."""
    from oodseg.training.resynthesis import ResynthesisRecipe, train

    settings, data, out = request.settings(ResynthesisRecipe)
    return train(settings, data, out, request.resume, request.progress).path


@training("comparator")
def comparator(request: Request, generator: Generator = None, segmenter: JudgedSegmenter = None) -> Path:
    """Train failure detectors: SynthCP's comparator and its baselines."""
    from oodseg.core.build import build_segmenter
    from oodseg.training.comparator import ComparatorRecipe
    from oodseg.training.failure_detectors import train
    from oodseg.training.resynthesis import load_generator

    settings, data, out = request.settings(ComparatorRecipe)
    made = None if generator is None else load_generator(generator)
    judged = None if segmenter is None else build_segmenter(segmenter)
    return train(settings, data, out, made, judged, request.resume, request.progress).path


@training("unknown", mines=True)
def unknown(request: Request, failures: TaughtDetector = "street") -> Path:
    """Train SynthCP's comparator to tell unknown objects from other mistakes."""
    from oodseg.training.unknown import UnknownRecipe, train

    settings, data, out = request.settings(UnknownRecipe)
    return train(settings, data, out, failures, request.resume, request.progress).path
