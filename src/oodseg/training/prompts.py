"""Trains the prompt generator on score maps of outlier-exposure scenes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from oodseg.core.build import load_part
from oodseg.core.bundle import find_bundle, read_config
from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.files import write_json
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts, Reading
from oodseg.synth.scenes import SceneSampler
from oodseg.training.common import (
    Ema,
    last_checkpoint,
    load_recipe,
    make_trainer,
    save_weights,
    stream_loader,
)
from oodseg.training.detector import known_images
from oodseg.training.prompt_selection import (
    Ordinary,
    calibrate,
    choose_operating_points,
    collect,
    summary,
)
from oodseg.training.scene_cache import cache_scenes
from oodseg.training.score_augment import Map, ScoreAugment
from oodseg.training.score_cache import MAIN_CHANNEL, ChannelDetector, ScoreCache, cache_scores
from oodseg.training.segmenter import MixRecipe


class PromptRecipe(BaseModel):
    """Holds the settings in `recipes/prompts.yaml`.

    Attributes:
        seed: Of the scenes, the order and the augmentation.
        initial: Name or folder of a pipeline whose prompt generator the training goes on from.
        backbone: Of `FasterRCNNPrompts`.
        sizes: Height and width of the scenes, each an equal share of them.
        zoomed_sizes: The same for scenes that the detector sees in as many times that size as it wants.
        features: Let the generator read the detector's image features beside the score.
        hidden_share: How often these are hidden, so that it can read scores from elsewhere too.
        scenes: Training scenes in the cache.
        val_scenes: Validation scenes.
        steps: Optimiser steps.
        batch_size: Score maps per step.
        optimizer: `"adamw"`, or `"sgd"` with momentum 0.9 as in the paper.
        learning_rate: After the warm-up.
        warmup_from: Learning rate of the first step.
        warmup_steps: Steps of the linear warm-up.
        milestones: Steps at which the learning rate falls to a tenth.
        decay_fraction: Share of the steps, at the end, over which it falls linearly to zero.
        weight_decay: Of the optimiser.
        ema_decay: Of the averaged weights, which are those that ship.
        gradient_clip: Largest gradient norm.
        bfloat16: Run the backbone in bfloat16; a third faster on processors that know it.
        val_every: Steps between validations.
        checkpoint_minutes: Wall-clock minutes between checkpoints.
        workers: Processes that read and augment.
        main_share: How often the detector's shipped score is used; else one of its other scores.
        augment: See `ScoreAugment`.
        mix: Composition of the scenes.
    """

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    initial: str | None = None
    backbone: Literal["compact", "resnet50"] = "compact"
    sizes: list[tuple[int, int]] = Field(min_length=1)
    zoomed_sizes: list[tuple[int, int]] = []
    features: bool = False
    hidden_share: float = Field(default=0.3, ge=0, le=1)
    scenes: int = Field(ge=1)
    val_scenes: int = Field(ge=1)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["adamw", "sgd"]
    learning_rate: float = Field(gt=0)
    warmup_from: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    milestones: list[int] = []
    decay_fraction: float = Field(default=0.0, ge=0, le=1)
    weight_decay: float = Field(ge=0)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    gradient_clip: float | None = None
    bfloat16: bool = False
    val_every: int = Field(ge=1)
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    workers: int = Field(default=1, ge=0)
    main_share: float = Field(default=0.7, ge=0, le=1)
    augment: ScoreAugment = ScoreAugment()
    mix: MixRecipe = MixRecipe()


def rate_factor(recipe: PromptRecipe) -> Callable[[int], float]:
    """Learning rate over its plateau, by step: linear warm-up, then tenths at milestones or linear decay."""
    first = recipe.warmup_from / recipe.learning_rate
    decay_steps = recipe.steps * recipe.decay_fraction

    def factor(step: int) -> float:
        done = min(1.0, step / recipe.warmup_steps) if recipe.warmup_steps else 1.0
        rise = first + (1.0 - first) * done
        fall = min(1.0, max(0.0, recipe.steps - step) / decay_steps) if decay_steps else 1.0
        return rise * fall * 0.1 ** sum(step >= each for each in recipe.milestones)

    return factor


class _Samples:
    """Training sample by number, from the cache."""

    def __init__(self, cache: ScoreCache, recipe: PromptRecipe) -> None:
        self.cache, self.recipe = cache, recipe
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __call__(self, number: int) -> tuple[Map, Map, list[Map]]:
        recipe = self.recipe
        epoch, place = divmod(number, len(self.cache))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.cache.order(epoch, recipe.seed)
        scene = self.cache[int(self._order[place])]
        rng = np.random.default_rng([recipe.seed, number, 1])
        others = len(scene.scores) - 1
        channel = 0 if others == 0 or rng.random() < recipe.main_share else 1 + int(rng.integers(others))
        # What lies behind the shipped score fits no other.
        hidden = not recipe.features or channel > 0 or rng.random() < recipe.hidden_share
        return recipe.augment(scene.scores[channel], scene.boxes, rng, () if hidden else scene.features)


Batch = tuple[list[Tensor], list[Tensor], list[list[Tensor] | None]]


def _as_lists(samples: list[tuple[Map, Map, list[Map]]]) -> Batch:
    return (
        [torch.from_numpy(score) for score, _, _ in samples],
        [torch.from_numpy(boxes) for _, boxes, _ in samples],
        [[torch.from_numpy(each) for each in seen] or None for _, _, seen in samples],
    )


def _in_bfloat16(backbone: torch.nn.Module) -> None:
    """Runs the backbone in bfloat16 where that is fast; boxes do not, as 8 bits would move them by pixels."""
    forward = backbone.forward

    def reduced(x: Tensor, *features: Any) -> Any:
        with fast_autocast(x.device):
            levels = forward(x, *features)
        return type(levels)((name, level.float()) for name, level in levels.items())

    backbone.forward = reduced  # type: ignore[method-assign]


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


class _PromptTraining(LightningModule):  # type: ignore[misc]
    def __init__(self, recipe: PromptRecipe, cache: ScoreCache, validation: ScoreCache) -> None:
        super().__init__()
        self.recipe, self.cache, self.validation = recipe, cache, validation
        self.network = new_generator(recipe, feature_channels(recipe, validation))
        if recipe.bfloat16:
            _in_bfloat16(self.network.rcnn.backbone)
        # Lightning keeps the mode it finds.
        self.network.train()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses = self.network.losses(*batch)
        total = torch.stack(list(losses.values())).sum()
        self.log("loss", total, prog_bar=True, batch_size=len(batch[0]))
        self.log_dict({name: each.detach() for name, each in losses.items()}, batch_size=len(batch[0]))
        return total

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        found = collect(self.network, self.validation)
        values = summary(found, 0.5)
        self.log_dict({f"val_{name}": value for name, value in values.items()}, batch_size=1)

    def train_dataloader(self) -> DataLoader[Any]:
        start = self.trainer.global_step * self.recipe.batch_size
        samples = _Samples(self.cache, self.recipe)
        return stream_loader(samples, self.recipe.batch_size, start, self.recipe.workers, _as_lists)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader([0], collate_fn=list)  # type: ignore[arg-type]

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        # Weight decay on biases and batch norm would only pull them off.
        weights = [each for each in self.network.parameters() if each.ndim > 1]
        others = [each for each in self.network.parameters() if each.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
        options: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
        if recipe.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, momentum=0.9, **options)
        else:
            optimizer = torch.optim.AdamW(groups, **options)
        schedule = LambdaLR(optimizer, rate_factor(recipe))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make_scenes(recipe: PromptRecipe, data_root: Path, out: Path, zoom: int, progress: bool = True) -> None:
    """Fills `out/scenes-train` and `out/scenes-val`; resumable, and independent of any detector.

    Args:
        recipe: Sizes, numbers and seed.
        data_root: Folder of the training data.
        out: Folder of the run.
        zoom: How many times the working size scenes of `zoomed_sizes` have.
        progress: Show a progress bar.
    """
    sizes = [*recipe.sizes, *((height * zoom, width * zoom) for height, width in recipe.zoomed_sizes)]
    for split, count in (("train", recipe.scenes), ("val", recipe.val_scenes)):
        samplers = [
            SceneSampler(data_root, size, split=split, seed=recipe.seed, mix=recipe.mix.made())
            for size in sizes
        ]
        seed = recipe.seed + (split == "val") * 1_000_003
        made_of = {"sizes": sizes, "mix": recipe.mix.model_dump()}
        cache_scenes(samplers, count, out / f"scenes-{split}", seed, progress, made_of)


def make_caches(
    recipe: PromptRecipe, data_root: Path, out: Path, detector: ChannelDetector, progress: bool = True
) -> None:
    """Fills `out/scores-train` and `out/scores-val` with the detector's score maps; resumable.

    Args:
        recipe: Sizes, numbers and seed.
        data_root: Folder of the training data.
        out: Folder of the run.
        detector: The one whose scores the generator is to read.
        progress: Show a progress bar.
    """
    make_scenes(recipe, data_root, out, detector.zoom, progress)
    zooms = [1] * len(recipe.sizes) + [detector.zoom] * len(recipe.zoomed_sizes)
    for split, count in (("train", recipe.scenes), ("val", recipe.val_scenes)):
        scenes, scores = out / f"scenes-{split}", out / f"scores-{split}"
        cache_scores(detector, scenes, zooms, count, scores, progress)


def fit(
    recipe: PromptRecipe,
    out: Path,
    resume: bool = True,
    progress: bool = True,
    ordinary: Iterable[Ordinary] = (),
) -> dict[str, Any]:
    """Trains from the caches in `out`; writes `out/prompts.safetensors` and `out/metrics.json`.

    Args:
        recipe: All settings.
        out: Folder of the run, with the caches of `make_caches`.
        resume: Go on from `out/last.ckpt` if there is one.
        progress: Show a progress bar.
        ordinary: See `calibrate` and `choose_operating_points`.

    Returns:
        The contents of `metrics.json`: the recipe, and the chosen confidences with the quality at them.
    """
    validation = ScoreCache(out / "scores-val")
    average = Ema(recipe.ema_decay)
    trainer = make_trainer(
        out,
        recipe.steps,
        seed=recipe.seed,
        val_every_steps=recipe.val_every,
        checkpoint_minutes=recipe.checkpoint_minutes,
        gradient_clip=recipe.gradient_clip,
        callbacks=[average],
        progress=progress,
    )
    module = _PromptTraining(recipe, ScoreCache(out / "scores-train"), validation)
    trainer.fit(module, ckpt_path=last_checkpoint(out, resume))
    features = feature_channels(recipe, validation)
    generator = FasterRCNNPrompts(backbone=recipe.backbone, features=features)
    state = {**module.network.state_dict(), **average.ema_state_dict()}
    generator.load_state_dict(state)
    generator.eval()
    known = list(ordinary)
    choice = read_confidences(generator, validation, known)
    metadata = {"config": json.dumps(generator.config), "seed": str(recipe.seed)}
    save_weights(state, out / "prompts.safetensors", metadata)
    metrics = {"recipe": recipe.model_dump(), "config": generator.config, "validation": _finite(choice)}
    write_json(out / "metrics.json", metrics, indent=1)
    return metrics


def feature_channels(recipe: PromptRecipe, cache: ScoreCache) -> tuple[int, ...]:
    """Channels of the image features that the generator joins; none if the recipe does not want them."""
    return tuple(len(each) for each in cache[0].features) if recipe.features else ()


def read_confidences(
    generator: FasterRCNNPrompts, validation: ScoreCache, known: Sequence[Ordinary]
) -> dict[str, Any]:
    """Fits calibration and operating points, with image features and without, in place.

    Returns:
        The results of `choose_operating_points`, per reading.
    """
    chosen = {}
    for name in ("with_features", "score_only") if generator.features else ("score_only",):
        hidden = name == "score_only"
        setattr(generator, name, Reading())
        calibration = calibrate(generator, validation, known, hidden)
        setattr(generator, name, Reading(calibration))
        chosen[name] = choose_operating_points(generator, validation, known, hidden)
        setattr(generator, name, Reading(calibration, chosen[name]["operating_points"]))
    return chosen


def _ordinary(detector: ChannelDetector, data_root: Path) -> Iterator[Ordinary]:
    """Validation images in which nothing is unknown, as the pipeline shows them to the generator."""
    for image, zoom in known_images(data_root, detector.zoom):
        sight = detector.look(image, zoom)
        yield Ordinary(detector.channel_normalizers[MAIN_CHANNEL](sight.scores[0]), sight.features)


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def train(
    recipe: PromptRecipe | str | Path,
    data_root: Path,
    out: Path,
    detector: ChannelDetector,
    resume: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Makes the score maps, then trains; an interrupted call goes on where it stopped.

    Args:
        recipe: The settings, or a recipe's name or file (`"prompts"`, `"prompts_resnet50"`).
        data_root: Folder of the training data.
        out: Folder of the run.
        detector: The one whose scores the generator is to read.
        resume: Go on from the last checkpoint.
        progress: Show a progress bar.

    Returns:
        See `fit`.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data, or `out` holds score maps of another detector.
    """
    if not isinstance(recipe, PromptRecipe):
        recipe = load_recipe(recipe, PromptRecipe)
    make_caches(recipe, data_root, out, detector, progress)
    return fit(recipe, out, resume, progress, _ordinary(detector, data_root))
