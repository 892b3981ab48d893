"""Trains the promptable segmenter `compact` on crops around jittered boxes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule, LightningModule
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from oodseg.masks.compact import CompactSegmenter
from oodseg.nn.encoders import Pretrained, load_pretrained
from oodseg.training.common import (
    Ema,
    last_checkpoint,
    make_trainer,
    save_weights,
    scheduled,
    stream_loader,
)
from oodseg.training.mask_samples import SampleMaker, ShotMaker
from oodseg.training.pretrained import depthwise_in_float32, freeze, parameter_groups

Batch = tuple[Tensor, Tensor, Tensor]


class MasksRecipe(BaseModel):
    """Holds everything that determines the weights of `compact`, except the data.

    Attributes:
        seed: Seed of weights and samples.
        size, context, widths, depths, backbone: Arguments of `CompactSegmenter`.
        pretrained, frozen_stages, encoder_rate: Where the encoder's weights come from, how many of its blocks
            stay as they are, and the share of the learning rate for the others.
        max_steps, batch_size, learning_rate, weight_decay, warmup_steps, decay_fraction: AdamW and its
            schedule (see `warmup_constant_decay`).
        ema_decay: Decay of the averaged weights.
        precision: Arithmetic of the training.
        pasted, street: Shares of samples pasted onto, and labelled in, street images; the rest are
            natural DUTS images.
        score_share: Share of samples that come with a simulated score map.
        boundary_weight: Extra weight of pixels within two of the outline.
        workers: Processes that make samples.
        val_samples: Held-out crops that are validated on.
        val_every_steps, checkpoint_minutes: How often to validate and to save.
    """

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    size: int = Field(112, ge=32)
    context: float = Field(1.5, ge=1)
    widths: list[int] = [24, 48, 96, 160]
    depths: list[int] = [1, 2, 3, 2]
    backbone: str | None = None
    pretrained: Pretrained = "wheel"
    frozen_stages: int = Field(0, ge=0)
    encoder_rate: float = Field(0.1, gt=0)
    max_steps: int = Field(1750, ge=1)
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_steps: int = Field(200, ge=0)
    decay_fraction: float = Field(0.3, ge=0, le=1)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    pasted: float = Field(0.3, ge=0, le=1)
    street: float = Field(0.15, ge=0, le=1)
    score_share: float = Field(0.5, ge=0, le=1)
    boundary_weight: float = Field(2.0, ge=0)
    workers: int = Field(1, ge=0)
    val_samples: int = Field(290, ge=1)
    val_every_steps: int = Field(400, ge=1)
    checkpoint_minutes: float = Field(3.0, gt=0)


class MasksModule(LightningModule):  # type: ignore[misc]
    """Loss and optimiser of `compact`.

    Args:
        recipe: The training's settings.
    """

    def __init__(self, recipe: MasksRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = CompactSegmenter(
            recipe.size, recipe.context, recipe.widths, recipe.depths, backbone=recipe.backbone
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.backbone is not None:
            load_pretrained(self.network.encoder, recipe.backbone, recipe.pretrained)
            freeze(self.network.encoder, recipe.frozen_stages)
            if not torch.cuda.is_available():
                depthwise_in_float32(self.network)
            self.network.train()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch."""
        inputs, target, weight = batch
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
        loss = mask_loss(logits, target, weight, self.recipe.boundary_weight)
        iou = mask_iou(logits, target, weight)
        self.log_dict({"train/loss": loss, "train/iou": iou.mean()}, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """Mean IoU on held-out crops, without and with a simulated score map."""
        inputs, target, weight = batch
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
        name = ("val/iou", "val/iou_with_score")[dataloader_idx]
        iou = mask_iou(logits, target, weight).mean()
        self.log(name, iou, prog_bar=True, batch_size=len(inputs), add_dataloader_idx=False)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, no decay on biases and norms."""
        recipe = self.recipe
        groups = parameter_groups(
            self.network, self.network.encoder, recipe.learning_rate, recipe.encoder_rate
        )
        optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        return scheduled(optimizer, recipe)


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor, boundary_weight: float) -> Tensor:
    """Cross-entropy, heavier near the outline, plus soft Dice.

    Args:
        logits: Float `[N, h, w]`.
        target: Float 0/1 `[N, h, w]`.
        weight: Float `[N, h, w]`; 0 where nothing is to be learnt.
        boundary_weight: Extra weight within two pixels of the outline.
    """
    spread = F.max_pool2d(target[:, None], 5, 1, 2)[:, 0] + F.max_pool2d(-target[:, None], 5, 1, 2)[:, 0]
    emphasis = weight * (1 + boundary_weight * spread)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = (entropy * emphasis).sum(dim=(1, 2)) / emphasis.sum(dim=(1, 2)).clamp_min(1)
    chance = torch.sigmoid(logits) * weight
    wanted = target * weight
    overlap = (chance * wanted).sum(dim=(1, 2))
    dice = (2 * overlap + 1) / (chance.sum(dim=(1, 2)) + wanted.sum(dim=(1, 2)) + 1)
    return (entropy + 1 - dice).mean()


def mask_iou(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """IoU of each mask at logit 0 inside the image; float `[N]`, 1 where both are empty."""
    drawn, wanted, inside = logits > 0, target > 0.5, weight > 0
    both = (drawn & wanted & inside).sum(dim=(1, 2))
    either = ((drawn | wanted) & inside).sum(dim=(1, 2))
    return torch.where(either > 0, both / either.clamp_min(1), torch.ones_like(both, dtype=torch.float32))


class _Fixed(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """The first samples of a maker, made once."""

    def __init__(self, make: SampleMaker, count: int) -> None:
        self.samples = [make(index) for index in range(count)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.samples[index]


class MasksData(LightningDataModule):  # type: ignore[misc]
    """Sample stream for training, fixed held-out crops for validation.

    Args:
        recipe: The training's settings.
        root: Data folder (see `ShotMaker`).
    """

    def __init__(self, recipe: MasksRecipe, root: Path) -> None:
        super().__init__()
        self.recipe = recipe
        self.root = root

    def train_dataloader(self) -> DataLoader[Any]:
        """Goes on where the training stopped."""
        recipe = self.recipe
        shots = ShotMaker(self.root, "train", recipe.pasted, recipe.street)
        make = SampleMaker(shots, recipe.size, recipe.context, recipe.seed, recipe.score_share, augment=True)
        start = 0 if self.trainer is None else self.trainer.global_step * recipe.batch_size
        return stream_loader(make, recipe.batch_size, start, recipe.workers)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Held-out objects without, then with, simulated score maps."""
        recipe = self.recipe
        shots = ShotMaker(self.root, "held_out", 0, 0)
        loaders = []
        for share in (0.0, 1.0):
            make = SampleMaker(shots, recipe.size, recipe.context, recipe.seed, share, augment=False)
            loaders.append(DataLoader(_Fixed(make, recipe.val_samples), batch_size=recipe.batch_size))
        return loaders


def train(
    recipe: MasksRecipe, data_root: Path, out: Path, resume: bool = True, progress: bool = True
) -> Path:
    """Trains `compact` and writes its averaged weights.

    Args:
        recipe: The training's settings.
        data_root: Folder with `duts_tr`, `camvid`, `idd_lite` and `cityscapes_sample`.
        out: Folder of the run: curve, checkpoints, `masks.safetensors` (float16), `metrics.json`.
        resume: Go on from `out/last.ckpt` where it exists.
        progress: Show a progress bar.

    Returns:
        Path of the weights.

    Raises:
        DatasetError: The data folder is incomplete.
        ConfigError: The recipe describes no network that can be built.
    """
    began = time.monotonic()
    ema = Ema(recipe.ema_decay)
    trainer = make_trainer(
        out,
        recipe.max_steps,
        seed=recipe.seed,
        val_every_steps=recipe.val_every_steps,
        checkpoint_minutes=recipe.checkpoint_minutes,
        precision=recipe.precision,
        callbacks=[ema],
        progress=progress,
    )
    module = MasksModule(recipe)
    data = MasksData(recipe, Path(data_root))
    trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(out, resume), weights_only=True)
    network = module.network
    network.load_state_dict(ema.ema_state_dict(), strict=False)
    measured = trainer.validate(module, datamodule=data, verbose=False)
    weights = out / "masks.safetensors"
    config = {"part": "compact", "config": json.dumps(network.config)}
    save_weights(network.state_dict(), weights, config)
    metrics = {key: value for each in measured for key, value in each.items()}
    report = {
        "steps": trainer.global_step,
        "hours_of_last_part": (time.monotonic() - began) / 3600,
        "parameters": sum(each.numel() for each in network.parameters()),
        "validation": metrics,
        "recipe": recipe.model_dump(),
    }
    temporary = out / f".metrics.json.{os.getpid()}"
    temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, out / "metrics.json")
    return weights
