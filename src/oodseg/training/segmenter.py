"""Trains the street network: seven classes, uncertain where objects are unknown, and objectness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader

from oodseg.core.errors import ConfigError
from oodseg.core.progress import Progress
from oodseg.core.taxonomy import IGNORE
from oodseg.metrics.pixel import pixel_metrics
from oodseg.nn.encoders import Pretrained, load_pretrained
from oodseg.segmenters.street import StreetNet
from oodseg.segmenters.street_ensemble import StreetEnsemble
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe, load_recipe
from oodseg.training.engine.schedule import adamw, scheduled
from oodseg.training.engine.stream import stream_loader
from oodseg.training.engine.trained import Trained, save_trained
from oodseg.training.growth import grow
from oodseg.training.pretrained import depthwise_in_float32, freeze, parameter_groups
from oodseg.training.scene_mix import MixRecipe
from oodseg.training.segmenter_loss import street_loss, teacher_loss
from oodseg.training.segmenter_samples import Batch, BatchMaker
from oodseg.training.street_networks import network_of

SCORE_WEIGHT = 0.1  # brings `teacher_scores` to the size of the other parts


class SegmenterRecipe(LoopRecipe):
    """All settings of a training of the street network.

    Attributes:
        initial: A run of this training, or name or folder of a pipeline, to go on from; of an ensemble the
            first member. It grows where the recipe's widths and depths are larger.
        teachers: Runs of this training, or names or folders of pipelines; what the mean of their networks
            says of a scene is learned beside the truth.
        teacher_weight: How much of the loss is the teachers'; the rest is the truth's.
        sizes: Height and width of the scenes; batches take them in turn. `batch_size` is that of the first,
            and batches of larger scenes are smaller by as much as their scenes are larger.
        backbone: timm name of a pretrained encoder; None for a network of its own.
        pretrained: Where the encoder's weights come from.
        frozen_stages: How many of its blocks, and the stem, stay as they are.
        encoder_rate: Share of the learning rate at which the others learn.
        widths, depths: Of `StreetNet`.
        uniform_weight, object_weight, dice_weight: Of the parts of the loss; Dice is a part of the objects'.
        mix: Composition of the scenes.
        val_scenes: Held-out scenes to validate on.
    """

    initial: str | None = None
    teachers: list[str] = Field(default=[])
    teacher_weight: float = Field(default=0.7, ge=0, le=1)
    sizes: list[tuple[int, int]] = Field(default=[(256, 320)], min_length=1)
    backbone: str | None = None
    pretrained: Pretrained = "wheel"
    frozen_stages: int = Field(default=0, ge=0)
    encoder_rate: float = Field(default=0.1, gt=0)
    widths: list[int] = Field(default=[24, 48, 96, 192, 320])
    depths: list[int] = Field(default=[1, 2, 6, 3])
    uniform_weight: float = Field(default=0.3, ge=0)
    dice_weight: float = Field(default=0.5, ge=0)
    object_weight: float = Field(default=2.0, ge=0)
    mix: MixRecipe = MixRecipe()
    val_scenes: int = Field(default=160, ge=1)
    max_steps: int = Field(default=27000, ge=1)
    warmup_steps: int = Field(default=200, ge=0)
    decay_fraction: float = Field(default=0.35, ge=0, le=1)
    ema_decay: float | None = Field(default=0.999, ge=0, lt=1)
    val_every_steps: int = Field(default=1000, ge=1)

    def batches(self, root: Path, split: str) -> BatchMaker:
        """Returns the batches of a split, each made from its number."""
        offset = 1_000_003 if split == "val" else 0
        seeds = (self.seed, self.seed + offset)
        return BatchMaker(root, self.sizes, self.batch_size, split, seeds, self.mix.made())


def new_network(recipe: SegmenterRecipe) -> StreetNet:
    """Builds a street network of the recipe's size: new, or with the weights of the pipeline in `initial`.

    Raises:
        ConfigError: There is no such pipeline, or its network does not fit the recipe's.
    """
    if recipe.backbone is not None:
        network = StreetNet(recipe.widths, backbone=recipe.backbone)
        load_pretrained(network.encoder, recipe.backbone, recipe.pretrained)
        freeze(network.encoder, recipe.frozen_stages)
    else:
        network = StreetNet(recipe.widths, recipe.depths)
    if recipe.initial is not None:
        given = network_of([recipe.initial])
        if isinstance(given, StreetEnsemble):
            given = given.networks[0]
        if recipe.backbone is not None:
            if given.config != network.config:
                raise ConfigError(
                    f"the network of {recipe.initial} is not of this recipe's backbone and widths: "
                    "give the recipe those of its config.json, or leave `initial` out"
                )
            network.load_state_dict(given.state_dict())
        else:
            network = grow(given, network)
    made: StreetNet = network.to(memory_format=torch.channels_last)
    return made


class Teacher:
    """A network that is asked and never trained; no part of the module, so that no checkpoint holds it.

    Args:
        network: Any street network.
    """

    def __init__(self, network: StreetNet) -> None:
        self._network = network.to(memory_format=torch.channels_last).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what `StreetNet.forward` returns."""
        self._network.to(images.device)
        logits, objectness = self._network(images)
        return logits, objectness


class SegmenterModule(TrainingModule):
    """Loss, samples and optimiser of the street network."""

    recipe: SegmenterRecipe
    network: StreetNet

    def __init__(self, recipe: SegmenterRecipe, train_make: BatchMaker, val_make: BatchMaker) -> None:
        super().__init__(recipe, new_network(recipe), train_make)
        if recipe.backbone is not None and not torch.cuda.is_available():
            depthwise_in_float32(self.network)
        self._val_make = val_make
        self._teacher = Teacher(network_of(recipe.teachers)) if recipe.teachers else None
        self._found: list[tuple[Tensor, Tensor]] = []
        self._confusion = torch.zeros(7, 7, dtype=torch.long)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Computes one step; see `street_loss`."""
        images, labels, unknown, weights = batch
        scaled = images.float() / 255
        logits, objectness = self.network(scaled)
        parts = street_loss(logits, objectness, labels, unknown, weights)
        recipe = self.recipe
        total = (
            parts["classes"]
            + recipe.uniform_weight * parts["uniform"]
            + recipe.object_weight * (parts["objects"] + recipe.dice_weight * parts["dice"])
        )
        if self._teacher is not None:
            taught = teacher_loss(logits, objectness, *self._teacher(scaled), weights)
            copied = taught["teacher_classes"] + taught["teacher_scores"] * SCORE_WEIGHT
            copied = copied + recipe.object_weight * taught["teacher_objects"]
            total = (1 - recipe.teacher_weight) * total + recipe.teacher_weight * copied
            parts |= taught
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        self.log("train/loss", total.detach())
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collects objectness and class counts on scenes of unseen drives and objects."""
        images, labels, unknown, _ = batch
        logits, objectness = self.network(images.float() / 255)
        self._found.append((objectness.float().cpu(), unknown[:, 1::2, 1::2].cpu()))
        truth, guess = labels[:, 2::4, 2::4].long(), logits.argmax(1)
        judged = truth != IGNORE
        counts = torch.bincount(truth[judged] * 7 + guess[judged], minlength=49).view(7, 7)
        self._confusion += counts.cpu()

    def on_validation_epoch_end(self) -> None:
        """Logs AuPRC and FPR95 of objectness and the mean IoU of the classes."""
        scores = torch.cat([score.flatten() for score, _ in self._found]).numpy()
        codes = torch.cat([code.flatten() for _, code in self._found]).numpy()
        labels = np.where((codes > 0) & (codes < IGNORE), 1, codes).astype(np.uint8)
        metrics = pixel_metrics(scores, labels)
        shared = self._confusion.diag().double()
        iou = shared / (self._confusion.sum(0) + self._confusion.sum(1) - shared).clamp_min(1)
        self.log_dict({"val/auprc": metrics.auprc, "val/fpr95": metrics.fpr95, "val/miou": float(iou.mean())})
        self._found, self._confusion = [], torch.zeros(7, 7, dtype=torch.long)

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless batches, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step
        return stream_loader(self._make, None, start, self.recipe.workers, share=self.share)

    def val_dataloader(self) -> DataLoader[Any]:
        """Loads the same scenes every time."""
        batches = -(-self.recipe.val_scenes // self.recipe.batch_size)
        fixed = [self._val_make(index) for index in range(batches)]
        return DataLoader(fixed, batch_size=None)  # type: ignore[arg-type]

    def configure_optimizers(self) -> dict[str, Any]:
        """Makes AdamW, the encoder at a rate of its own."""
        recipe, network = self.recipe, self.network
        groups = parameter_groups(
            network, network.encoder, recipe.learning_rate, recipe.encoder_rate, decay_all=True
        )
        return scheduled(adamw(groups, recipe), recipe)


def train(
    recipe: SegmenterRecipe | str | Path,
    data_root: Path,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains the street network.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run: checkpoint, `curve/`, `segmenter.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data.
    """
    settings = load_recipe(recipe, SegmenterRecipe)
    makers = [settings.batches(data_root, split) for split in ("train", "val")]
    done = run_training(settings, lambda: SegmenterModule(settings, *makers), out, resume, progress)
    return save_trained(out, "segmenter", done.network, settings, done.validation, hours=done.hours)
