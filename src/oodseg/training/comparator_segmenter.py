"""Trains the segmenters whose mistakes a comparator learns from: classes only, and short.

A comparator that learned from a segmenter's mistakes on the segmenter's own training images would see far
too few of them, so each fold's images are predicted by a segmenter that never saw that fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.progress import Progress
from oodseg.core.taxonomy import IGNORE
from oodseg.segmenters.street import StreetNet
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import load_trained, read_metrics, save_trained
from oodseg.training.labelled import Labelled, ViewMaker

Batch = tuple[Tensor, Tensor]


class FoldRecipe(LoopRecipe):
    """All settings of a training of one segmenter.

    Attributes:
        size, zoom, light: Of the views that it learns on (`oodseg.training.labelled.ViewMaker`).
        widths, depths: Of `StreetNet`.
        dropout: Share of the features that is left out before the class layer.
    """

    size: tuple[int, int] = (256, 320)
    widths: list[int] = Field(default=[16, 40, 80, 128, 192])
    depths: list[int] = Field(default=[1, 2, 2, 2])
    dropout: float = Field(default=0.3, ge=0, lt=1)
    zoom: tuple[float, float] = (0.85, 2.2)
    light: float = Field(default=0.2, ge=0, le=0.5)
    max_steps: int = Field(default=1300, ge=1)
    ema_decay: float | None = Field(default=0.995, ge=0, lt=1)
    val_every_steps: None = None


class FoldModule(TrainingModule):
    """Loss and samples of one segmenter."""

    recipe: FoldRecipe
    network: StreetNet

    def __init__(self, recipe: FoldRecipe, classes: Sequence[str], make: ViewMaker) -> None:
        network = StreetNet(recipe.widths, recipe.depths, objectness=False, classes=classes)
        super().__init__(recipe, network.to(memory_format=torch.channels_last), make)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Computes the cross-entropy at a quarter of the resolution, with dropout before the class layer."""
        images, labels = batch
        features = self.network.features(images.float() / 255)[2]
        logits = self.network.class_head(F.dropout(features, self.recipe.dropout, training=True)).float()
        coarse = labels[:, 2::4, 2::4].long()
        known = (coarse != IGNORE).sum().clamp_min(1)
        loss = F.cross_entropy(logits, coarse, ignore_index=IGNORE, reduction="sum") / known
        self.log("train/loss", loss.detach())
        return loss


def train_segmenter(
    recipe: FoldRecipe,
    images: Sequence[Labelled],
    classes: Sequence[str],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> StreetNet:
    """Trains one segmenter, or takes the one that an earlier run with the same settings finished.

    Args:
        recipe: The settings.
        images: To learn on.
        classes: Names of their classes.
        out: Folder of this segmenter's run: checkpoint, `segmenter.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint, or take the finished segmenter.
        progress: Told after every step.

    Returns:
        The segmenter as it is stored.
    """
    fixed = recipe.model_dump(mode="json", exclude={"max_steps", *MACHINE})
    resume = resume and goes_on(out, [fixed, list(classes), len(images)])
    if not (resume and _is_finished(out, recipe)):
        make = ViewMaker(images, recipe, recipe.seed)
        done = run_training(recipe, lambda: FoldModule(recipe, classes, make), out, resume, progress)
        save_trained(out, "segmenter", done.network, recipe, done.validation, hours=done.hours)
    return load_segmenter(out)


def _is_finished(out: Path, recipe: FoldRecipe) -> bool:
    weights, metrics = out / "segmenter.safetensors", out / "metrics.json"
    if not (weights.is_file() and metrics.is_file()):
        return False
    used = {name: value for name, value in read_metrics(out)["recipe"].items() if name not in MACHINE}
    return bool(used == recipe.model_dump(mode="json", exclude=set(MACHINE)))


def load_segmenter(out: Path) -> StreetNet:
    """Loads what `train_segmenter` left in a folder."""
    network: StreetNet = load_trained(out, "segmenter")
    return network.to(memory_format=torch.channels_last)
