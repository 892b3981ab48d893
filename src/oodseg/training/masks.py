"""Trains the promptable segmenter `compact` on crops around jittered boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader

from oodseg.core.progress import Progress
from oodseg.data.mined import read_mined, split_mined
from oodseg.masks.compact import CompactSegmenter
from oodseg.nn.encoders import Pretrained, load_pretrained
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe, load_recipe
from oodseg.training.engine.schedule import adamw, scheduled
from oodseg.training.engine.trained import Trained, save_trained
from oodseg.training.mask_samples import SampleMaker, ShotMaker
from oodseg.training.pretrained import depthwise_in_float32, freeze, parameter_groups

Batch = tuple[Tensor, Tensor, Tensor]


class MasksRecipe(LoopRecipe):
    """Holds everything that determines the weights of `compact`, except the data.

    Attributes:
        size, context, widths, depths, backbone: Arguments of `CompactSegmenter`.
        pretrained, frozen_stages, encoder_rate: Where the encoder's weights come from, how many of its blocks
            stay as they are, and the share of the learning rate for the others.
        pasted, street: Shares of samples pasted onto, and labelled in, street images; the rest are
            natural DUTS images.
        more_objects: Sources of mined objects (`oodseg.data.mined`), whose outlines people corrected.
        mined: Share of the objects that are taken from these, where there are some.
        score_share: Share of samples that come with a simulated score map.
        boundary_weight: Extra weight of pixels within two of the outline.
        val_samples: Held-out crops that are validated on.
    """

    size: int = Field(default=112, ge=32)
    context: float = Field(default=1.5, ge=1)
    widths: list[int] = Field(default=[24, 48, 96, 160])
    depths: list[int] = Field(default=[1, 2, 3, 2])
    backbone: str | None = None
    pretrained: Pretrained = "wheel"
    frozen_stages: int = Field(default=0, ge=0)
    encoder_rate: float = Field(default=0.1, gt=0)
    pasted: float = Field(default=0.3, ge=0, le=1)
    street: float = Field(default=0.15, ge=0, le=1)
    more_objects: list[str] = Field(default=[])
    mined: float = Field(default=0.3, ge=0, le=1)
    score_share: float = Field(default=0.5, ge=0, le=1)
    boundary_weight: float = Field(default=2.0, ge=0)
    val_samples: int = Field(default=290, ge=1)
    max_steps: int = Field(default=1750, ge=1)
    batch_size: int = Field(default=32, ge=2)
    warmup_steps: int = Field(default=200, ge=0)
    decay_fraction: float = Field(default=0.3, ge=0, le=1)
    val_every_steps: int = Field(default=400, ge=1)


def new_network(recipe: MasksRecipe) -> CompactSegmenter:
    """Builds a network of the recipe's size; on a pretrained encoder with that one's weights.

    Raises:
        ConfigError: The recipe describes no network that can be built.
    """
    network: CompactSegmenter = CompactSegmenter(
        recipe.size, recipe.context, recipe.widths, recipe.depths, backbone=recipe.backbone
    ).to(memory_format=torch.channels_last)
    if recipe.backbone is not None:
        load_pretrained(network.encoder, recipe.backbone, recipe.pretrained)
        freeze(network.encoder, recipe.frozen_stages)
        if not torch.cuda.is_available():
            depthwise_in_float32(network)
    return network


class MasksModule(TrainingModule):
    """Loss, samples and optimiser of `compact`.

    Args:
        recipe: The settings.
        root: Folder of the training data (see `ShotMaker`).
    """

    recipe: MasksRecipe
    network: CompactSegmenter

    def __init__(self, recipe: MasksRecipe, root: Path) -> None:
        mined = split_mined(read_mined(recipe.more_objects, "keep"), "train")
        shots = ShotMaker(root, "train", recipe.pasted, recipe.street, mined, recipe.mined)
        make = SampleMaker(shots, recipe.size, recipe.context, recipe.seed, recipe.score_share, augment=True)
        super().__init__(recipe, new_network(recipe), make)
        self._root = root

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch."""
        inputs, target, weight = batch
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
        loss = mask_loss(logits, target, weight, self.recipe.boundary_weight)
        iou = mask_iou(logits, target, weight)
        self.log_dict({"train/loss": loss, "train/iou": iou.mean()})
        return loss

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """Computes the mean IoU on held-out crops, without and with a simulated score map."""
        inputs, target, weight = batch
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
        name = ("val/iou", "val/iou_with_score")[dataloader_idx]
        iou = mask_iou(logits, target, weight).mean()
        self.log(name, iou, batch_size=len(inputs), add_dataloader_idx=False)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Loads held-out objects without, then with, simulated score maps."""
        recipe = self.recipe
        shots = ShotMaker(self._root, "held_out", 0, 0)
        loaders: list[DataLoader[Any]] = []
        for share in (0.0, 1.0):
            make = SampleMaker(shots, recipe.size, recipe.context, recipe.seed, share, augment=False)
            samples = [make(index) for index in range(recipe.val_samples)]
            loaders.append(DataLoader(samples, batch_size=recipe.batch_size))  # type: ignore[arg-type]
        return loaders

    def configure_optimizers(self) -> dict[str, Any]:
        """Makes AdamW, no decay on biases and norms."""
        recipe = self.recipe
        groups = parameter_groups(
            self.network, self.network.encoder, recipe.learning_rate, recipe.encoder_rate
        )
        return scheduled(adamw(groups, recipe), recipe)


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor, boundary_weight: float) -> Tensor:
    """Computes the cross-entropy, heavier near the outline, plus soft Dice.

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
    """Computes the IoU of each mask at logit 0 inside the image; float `[N]`, 1 where both are empty."""
    drawn, wanted, inside = logits > 0, target > 0.5, weight > 0
    both = (drawn & wanted & inside).sum(dim=(1, 2))
    either = ((drawn | wanted) & inside).sum(dim=(1, 2))
    return torch.where(either > 0, both / either.clamp_min(1), torch.ones_like(both, dtype=torch.float32))


def train(
    recipe: MasksRecipe | str | Path,
    data_root: Path,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains `compact`.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder with `duts_tr`, `camvid`, `idd_lite` and `cityscapes_sample`.
        out: Folder of the run: checkpoint, `curve/`, `masks.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.

    Raises:
        DatasetError: The data folder is incomplete.
        ConfigError: The recipe cannot be used, or describes no network that can be built.
    """
    settings = load_recipe(recipe, MasksRecipe)
    done = run_training(settings, lambda: MasksModule(settings, Path(data_root)), out, resume, progress)
    return save_trained(out, "masks", done.network, settings, done.validation, hours=done.hours)
