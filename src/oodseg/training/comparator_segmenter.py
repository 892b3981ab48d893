"""Trains the segmenters whose mistakes a comparator learns from: classes only, and short.

A comparator that learned from a segmenter's mistakes on the segmenter's own training images would see far
too few of them, so each fold's images are predicted by a segmenter that never saw that fold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from oodseg.core.bundle import load_weights, read_header
from oodseg.core.files import write_json
from oodseg.core.taxonomy import IGNORE
from oodseg.segmenters.street import StreetNet
from oodseg.training.common import (
    Ema,
    adamw,
    last_checkpoint,
    make_trainer,
    save_weights,
    stream_loader,
)
from oodseg.training.labelled import Labelled, ViewMaker

Batch = tuple[Tensor, Tensor]


class FoldRecipe(BaseModel):
    """All settings of a training of one segmenter."""

    model_config = ConfigDict(extra="forbid")
    size: tuple[int, int] = (256, 320)
    widths: list[int] = [16, 40, 80, 128, 192]
    depths: list[int] = [1, 2, 2, 2]
    dropout: float = Field(default=0.3, ge=0, lt=1)
    zoom: tuple[float, float] = (0.85, 2.2)
    light: float = Field(default=0.2, ge=0, le=0.5)
    max_steps: int = Field(default=1300, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    decay_fraction: float = Field(default=0.5, ge=0, le=1)
    ema_decay: float = Field(default=0.995, ge=0, lt=1)
    precision: str = "bf16-mixed"
    workers: int = Field(default=1, ge=0)


class FoldModule(LightningModule):  # type: ignore[misc]
    """Lightning's view of the training of one segmenter."""

    def __init__(self, recipe: FoldRecipe, classes: Sequence[str], make: ViewMaker) -> None:
        super().__init__()
        self.recipe, self._make = recipe, make
        self.network = StreetNet(recipe.widths, recipe.depths, objectness=False, classes=classes)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Cross-entropy at a quarter of the resolution, with dropout before the class layer."""
        images, labels = batch
        features = self.network.features(images.float() / 255)[2]
        logits = self.network.class_head(F.dropout(features, self.recipe.dropout, training=True)).float()
        coarse = labels[:, 2::4, 2::4].long()
        known = (coarse != IGNORE).sum().clamp_min(1)
        loss = F.cross_entropy(logits, coarse, ignore_index=IGNORE, reduction="sum") / known
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless views, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step * self.recipe.batch_size
        return stream_loader(self._make, self.recipe.batch_size, start, self.recipe.workers)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW; warm-up, constant rate, linear decay."""
        return adamw(self.network, self.recipe)


def train_segmenter(
    recipe: FoldRecipe,
    images: Sequence[Labelled],
    classes: Sequence[str],
    out: Path,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
) -> Path:
    """Trains one segmenter, or takes the one that an earlier run with the same settings finished.

    Args:
        recipe: The settings.
        images: To learn on.
        classes: Names of their classes.
        out: Folder of this segmenter's run.
        seed: Seeds weights and samples.
        resume: Go on from the last checkpoint, or from the finished file.
        progress: Show a progress bar.

    Returns:
        `out/segmenter.safetensors`: averaged weights in float16, settings in its header.
    """
    path = out / "segmenter.safetensors"
    settings = {
        "recipe": recipe.model_dump(), "classes": list(classes), "images": len(images), "seed": seed
    }  # fmt: skip
    header = {"settings": json.dumps(settings)}
    if resume and path.is_file() and read_header(path).get("settings") == header["settings"]:
        return path
    resume = resume and goes_on(out, {**settings, "recipe": recipe.model_dump(exclude={"max_steps"})})
    average = Ema(recipe.ema_decay)
    trainer = make_trainer(
        out, recipe.max_steps, seed=seed, precision=recipe.precision, callbacks=[average], progress=progress
    )
    module = FoldModule(recipe, classes, ViewMaker(images, recipe, seed))
    trainer.fit(module, ckpt_path=last_checkpoint(out, resume))
    state = {**module.network.state_dict(), **average.ema_state_dict()}
    save_weights(state, path, {"config": json.dumps(module.network.config), **header})
    return path


def goes_on(folder: Path, settings: Any) -> bool:
    """Tells whether a run in that folder can go on from its checkpoint: its settings are unchanged.

    Notes the settings for the next time.

    Args:
        folder: Folder of the run.
        settings: Everything that the run depends on except its length, JSON-able.
    """
    path = folder / "depends_on.json"
    wanted = json.loads(json.dumps(settings))
    same = path.is_file() and json.loads(path.read_text(encoding="utf-8")) == wanted
    write_json(path, wanted)
    return same


def load_segmenter(path: Path) -> StreetNet:
    """Loads what `train_segmenter` wrote."""
    network = StreetNet(**json.loads(read_header(path)["config"]))
    load_weights(network, path)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
