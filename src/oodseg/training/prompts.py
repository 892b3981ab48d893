"""Trains the prompt generator on score maps of outlier-exposure scenes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import nn

from oodseg.core.build import load_part
from oodseg.core.bundle import find_bundle, read_config
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, statistics_of
from oodseg.core.progress import Progress
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import Trained, save_trained
from oodseg.training.operating_points import read_confidences
from oodseg.training.ordinary import fit_to_streets
from oodseg.training.prompt_module import PromptModule
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.prompt_scenes import make_caches
from oodseg.training.score_cache import ScoreCache
from oodseg.training.score_source import DetectorScores, Ordinary, ScoreSource


def new_generator(recipe: PromptRecipe, features: Sequence[int] = ()) -> FasterRCNNPrompts:
    """Builds a generator of the recipe's kind: new, or with the weights of the pipeline in `initial`.

    One that reads scores alone can go on from one that joins image features too: without features, what joins
    them counts for nothing.

    Raises:
        ConfigError: There is no such pipeline, or its generator is of another kind.
    """
    generator = FasterRCNNPrompts(backbone=recipe.backbone, features=features)
    if recipe.initial is not None:
        folder = find_bundle(recipe.initial)
        given = load_part(folder, read_config(folder), "prompts")
        fits = isinstance(given, FasterRCNNPrompts) and given.backbone == recipe.backbone
        if not fits or generator.features not in ((), given.features):
            raise ConfigError(
                f"the pipeline {recipe.initial} has no prompt generator with the backbone {recipe.backbone} "
                "to go on from: name another one, or leave `initial` out"
            )
        kept = generator.state_dict().keys()
        generator.load_state_dict({key: value for key, value in given.state_dict().items() if key in kept})
    return generator


def feature_channels(recipe: PromptRecipe, cache: ScoreCache) -> tuple[int, ...]:
    """Channels of the image features that the generator joins; none if the recipe does not want them."""
    return tuple(len(each) for each in cache[0].features) if recipe.features else ()


def scores_of(detector: Detector, recipe: PromptRecipe, data_root: Path, out: Path) -> DetectorScores:
    """Makes a detector the source of scores; one that was never fitted is first fitted to ordinary streets.

    Args:
        detector: Any.
        recipe: The settings.
        data_root: Folder of the training data.
        out: Folder of the run; a detector that was fitted here is kept in `out/detector`, for the pipeline
            that the generator goes into.

    Raises:
        ConfigError: A detector that no file can name.
        DatasetError: Missing data.
        ScoreMapError: Scores that do not vary.
    """
    if not detector.fitted:
        fit_to_streets(detector, data_root)
        statistics = statistics_of(detector)
        figures = {"mean": statistics.mean, "std": statistics.std}
        buffers = dict(detector.named_buffers()) if isinstance(detector, nn.Module) else ()
        save_trained(out / "detector", "detector", detector, recipe, figures, exact=buffers)
    return DetectorScores(detector)


def fit(
    recipe: PromptRecipe,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
    ordinary: Iterable[Ordinary] = (),
    scale: ScoreNormalizer | None = None,
) -> Trained:
    """Trains from the caches in `out`.

    Args:
        recipe: The settings.
        out: Folder of the run, with the caches of `make_caches`; it gets checkpoint, `curve/`,
            `prompts.safetensors` and `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.
        ordinary: See `calibrate` and `choose_operating_points`.
        scale: Of `FasterRCNNPrompts`.
    """
    learned_on, validation = ScoreCache(out / "scores-train"), ScoreCache(out / "scores-val")
    features = feature_channels(recipe, validation)

    def module() -> PromptModule:
        return PromptModule(recipe, new_generator(recipe, features), learned_on, validation)

    done = run_training(recipe, module, out, resume, progress)
    # A new one computes in float32.
    generator = FasterRCNNPrompts(backbone=recipe.backbone, features=features, scale=scale)
    generator.load_state_dict(done.network.state_dict())
    chosen = read_confidences(generator, validation, list(ordinary))
    return save_trained(out, "prompts", generator, recipe, {**done.validation, **chosen}, hours=done.hours)


def train(
    recipe: PromptRecipe | str | Path,
    data_root: Path,
    out: Path,
    source: ScoreSource,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Makes the score maps, then trains; an interrupted call goes on where it stopped.

    Args:
        recipe: The settings, or a recipe's name or file (`"prompts"`, `"prompts_resnet50"`).
        data_root: Folder of the training data.
        out: Folder of the run; see `fit`.
        source: Gives the scores that the generator is to read: `DetectorScores` or `GivenScores`.
        resume: Go on from the last checkpoint.
        progress: Told after every file of score maps and every step.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data, or `out` holds score maps of another detector.
        ScoreMapError: A map that was made elsewhere is missing or cannot be used.
    """
    settings = load_recipe(recipe, PromptRecipe)
    make_caches(settings, data_root, out, source, progress)
    return fit(settings, out, resume, progress, source.ordinary(data_root), source.scale)
