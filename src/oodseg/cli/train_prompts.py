"""`oodseg train prompts`: from a detector's scores, or from score maps made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.cli.training import Request, training
from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from oodseg.training.score_source import ScoreSource

Detector = Annotated[
    str | None,
    typer.Option(
        metavar="RUN|PIPELINE|PART",
        help="Source of the scores: a folder of `oodseg train detector`; a pipeline with a detector, "
        "as written by `oodseg fit`; or a detector, e.g. segformer:FOLDER+energy.",
        show_default=False,
    ),
]
ScoreMaps = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Score maps of the images from --write-scenes, instead of a detector.",
        show_default=False,
    ),
]
WriteScenes = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write the images to be scored elsewhere into a folder, and stop.",
        show_default=False,
    ),
]


@training("prompts", mines=True)
def prompts(
    request: Request,
    detector: Detector = None,
    score_maps: ScoreMaps = None,
    write_scenes: WriteScenes = None,
) -> Path:
    """Train the prompt generator on the score maps of a detector, or on score maps made elsewhere."""
    from oodseg.training.assembly import find_part
    from oodseg.training.given_scores import GivenScores
    from oodseg.training.given_scores import write_scenes as write
    from oodseg.training.prompt_recipe import PromptRecipe
    from oodseg.training.prompts import scores_of, train

    settings, data, out = request.settings(PromptRecipe)
    if [detector, score_maps, write_scenes].count(None) != 2:
        raise ConfigError(
            "the generator learns on the scores of a detector or on score maps made elsewhere: give one of "
            "--detector, --score-maps and --write-scenes"
        )
    if write_scenes is not None:
        write(settings, data, out, write_scenes, request.progress)
        return write_scenes
    source: ScoreSource
    if score_maps is not None:
        source = GivenScores(score_maps, data, out)
    else:
        source = scores_of(find_part("detector", str(detector)), settings, data, out)
    return train(settings, data, out, source, request.resume, request.progress).path
