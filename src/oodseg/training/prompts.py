"""Trains the prompt generator on score maps of outlier-exposure scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from oodseg.core.build import load_part
from oodseg.core.bundle import find_bundle, read_config
from oodseg.core.errors import ConfigError
from oodseg.core.progress import Progress
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.training.box_calibration import Ordinary
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import Trained, save_trained
from oodseg.training.operating_points import read_confidences
from oodseg.training.ordinary import known_images
from oodseg.training.prompt_module import PromptModule
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.prompt_scenes import make_caches
from oodseg.training.score_cache import MAIN_CHANNEL, ChannelDetector, ScoreCache


def new_generator(recipe: PromptRecipe, features: Sequence[int] = ()) -> FasterRCNNPrompts:
    """A generator of the recipe's kind: new, or with the weights of that of the pipeline in `initial`.

    Raises:
        ConfigError: There is no such pipeline, or its generator is of another kind.
    """
    generator = FasterRCNNPrompts(backbone=recipe.backbone, features=features)
    if recipe.initial is not None:
        folder = find_bundle(recipe.initial)
        given = load_part(folder, read_config(folder), "prompts")
        fits = isinstance(given, FasterRCNNPrompts) and given.backbone == recipe.backbone
        if not fits or given.features != generator.features:
            raise ConfigError(
                f"the pipeline {recipe.initial} has no prompt generator with the backbone {recipe.backbone} "
                "to go on from: name another one, or leave `initial` out"
            )
        generator.load_state_dict(given.state_dict())
    return generator


def feature_channels(recipe: PromptRecipe, cache: ScoreCache) -> tuple[int, ...]:
    """Channels of the image features that the generator joins; none if the recipe does not want them."""
    return tuple(len(each) for each in cache[0].features) if recipe.features else ()


def fit(
    recipe: PromptRecipe,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
    ordinary: Iterable[Ordinary] = (),
) -> Trained:
    """Trains from the caches in `out`.

    Args:
        recipe: The settings.
        out: Folder of the run, with the caches of `make_caches`; it gets checkpoint, `curve/`,
            `prompts.safetensors` and `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.
        ordinary: See `calibrate` and `choose_operating_points`.
    """
    learned_on, validation = ScoreCache(out / "scores-train"), ScoreCache(out / "scores-val")
    features = feature_channels(recipe, validation)

    def module() -> PromptModule:
        return PromptModule(recipe, new_generator(recipe, features), learned_on, validation)

    done = run_training(recipe, module, out, resume, progress)
    # A new one computes in float32.
    generator = FasterRCNNPrompts(backbone=recipe.backbone, features=features)
    generator.load_state_dict(done.network.state_dict())
    chosen = read_confidences(generator, validation, list(ordinary))
    return save_trained(out, "prompts", generator, recipe, {**done.validation, **chosen}, hours=done.hours)


def _ordinary(detector: ChannelDetector, data_root: Path) -> Iterator[Ordinary]:
    """Validation images in which nothing is unknown, as the pipeline shows them to the generator."""
    for image, zoom in known_images(data_root, detector.zoom):
        sight = detector.look(image, zoom)
        yield Ordinary(detector.channel_normalizers[MAIN_CHANNEL](sight.scores[0]), sight.features)


def train(
    recipe: PromptRecipe | str | Path,
    data_root: Path,
    out: Path,
    detector: ChannelDetector,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Makes the score maps, then trains; an interrupted call goes on where it stopped.

    Args:
        recipe: The settings, or a recipe's name or file (`"prompts"`, `"prompts_resnet50"`).
        data_root: Folder of the training data.
        out: Folder of the run; see `fit`.
        detector: The one whose scores the generator is to read.
        resume: Go on from the last checkpoint.
        progress: Told after every file of score maps and every step.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data, or `out` holds score maps of another detector.
    """
    settings = load_recipe(recipe, PromptRecipe)
    make_caches(settings, data_root, out, detector, progress)
    return fit(settings, out, resume, progress, _ordinary(detector, data_root))
