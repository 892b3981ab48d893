"""Trains the street network: seven classes, uncertain where objects are unknown, and objectness.

Loss: cross-entropy on the classes; on pasted objects cross-entropy to the uniform distribution, which
raises their entropy (Meta-OoD: Chan et al., ICCV 2021, Eq. 3); on the objectness head binary
cross-entropy and soft Dice over unknown against everything else.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from pydantic import BaseModel, ConfigDict, Field, create_model
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from oodseg.core.build import build_segmenter
from oodseg.core.errors import ConfigError
from oodseg.core.files import write_json
from oodseg.core.taxonomy import IGNORE
from oodseg.metrics.pixel import pixel_metrics
from oodseg.nn.encoders import Pretrained, load_pretrained
from oodseg.segmenters.street import StreetNet
from oodseg.synth.scenes import Mix, Scene, SceneSampler
from oodseg.training.common import (
    Ema,
    last_checkpoint,
    load_recipe,
    make_trainer,
    save_weights,
    scheduled,
    stream_loader,
)
from oodseg.training.growth import grow
from oodseg.training.pretrained import depthwise_in_float32, freeze, parameter_groups

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


_SHARES: dict[str, Any] = {
    each.name: (Annotated[float, Field(ge=0, le=1)], each.default) for each in fields(Mix)
}


class MixRecipe(create_model("_Shares", __config__=ConfigDict(extra="forbid"), **_SHARES)):  # type: ignore[misc]
    """The entries of `oodseg.synth.scenes.Mix`, as a part of recipes."""

    def made(self) -> Mix:
        """The mix that these entries describe."""
        return Mix(**self.model_dump())


class SegmenterRecipe(BaseModel):
    """All settings of a training of the street network.

    With `initial`, the name or folder of a pipeline, the training goes on from the network of its detector,
    which grows where the recipe's widths and depths are larger.

    Batches take their size in turn from `sizes`; `batch_size` is that of the first, and those of larger
    scenes are smaller by as much as their scenes are larger. With a `backbone` (a timm name) the network
    stands on a pretrained encoder: its stem and its first `frozen_stages` blocks stay as they are, the rest
    learns at `encoder_rate` times the learning rate.
    """

    model_config = ConfigDict(extra="forbid")
    seed: int = 0
    initial: str | None = None
    sizes: list[tuple[int, int]] = Field(default=[(256, 320)], min_length=1)
    backbone: str | None = None
    pretrained: Pretrained = "wheel"
    frozen_stages: int = Field(default=0, ge=0)
    encoder_rate: float = Field(default=0.1, gt=0)
    widths: list[int] = [24, 48, 96, 192, 320]
    depths: list[int] = [1, 2, 6, 3]
    max_steps: int = Field(default=27000, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    decay_fraction: float = Field(default=0.35, ge=0, le=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    precision: str = "bf16-mixed"
    uniform_weight: float = Field(default=0.3, ge=0)
    dice_weight: float = Field(default=0.5, ge=0)
    object_weight: float = Field(default=2.0, ge=0)
    mix: MixRecipe = MixRecipe()
    workers: int = Field(default=1, ge=0)
    val_scenes: int = Field(default=160, ge=1)
    val_every_steps: int = Field(default=1000, ge=1)
    checkpoint_minutes: float = Field(default=3, gt=0)


def pixel_weights(scene: Scene) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Computes the weight of each pixel in the objectness loss: float32 `[H, W]`.

    Small objects count more (up to fourfold), or the large ones would be all that is learned; the
    background of natural images counts less, for it holds things nobody marked.
    """
    table = np.ones(256, np.float32)
    area = np.bincount(scene.unknown.ravel(), minlength=256)
    table[1:IGNORE] = np.clip(np.sqrt(900 / np.maximum(area[1:IGNORE], 1)), 1, 4)
    if scene.kind == "natural":
        table[0] = 0.75
    table[IGNORE] = 0
    weights: np.ndarray[Any, np.dtype[np.float32]] = table[scene.unknown]
    return weights


def new_network(recipe: SegmenterRecipe) -> StreetNet:
    """A street network of the recipe's size: new, or with the weights of the pipeline in `initial`.

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
        given = build_segmenter({"name": "street", "source": recipe.initial})
        assert isinstance(given, StreetNet)  # it is the network of a street detector
        if recipe.backbone is not None:
            if given.config != network.config:
                raise ConfigError(
                    f"the network of {recipe.initial} is not of this recipe's backbone and widths: "
                    "give the recipe those of its config.json, or leave `initial` out"
                )
            network.load_state_dict(given.state_dict())
        else:
            network = grow(given, network)
    made: StreetNet = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


class BatchMaker:
    """Number to batch: the sizes take turns; everything depends on seed and number alone."""

    def __init__(self, root: Path, recipe: SegmenterRecipe, split: str, seed: int) -> None:
        mix = recipe.mix.made()
        self.makers = [
            SceneMaker(SceneSampler(root, size, split, recipe.seed, mix), seed) for size in recipe.sizes
        ]
        areas = [height * width for height, width in recipe.sizes]
        self.counts = [max(2, round(recipe.batch_size * areas[0] / area)) for area in areas]

    def __call__(self, number: int) -> Batch:
        """Images, labels, unknown and weights, each stacked."""
        which = number % len(self.makers)
        first = number * max(self.counts)
        samples = [self.makers[which](first + index) for index in range(self.counts[which])]
        images, labels, unknown, weights = (torch.stack(part) for part in zip(*samples, strict=True))
        return images, labels, unknown, weights


class SceneMaker:
    """Number to sample. Everything depends on seed and number alone."""

    def __init__(self, sampler: SceneSampler, seed: int) -> None:
        self.sampler, self.seed = sampler, seed

    def __call__(self, index: int) -> Batch:
        """Image uint8 `[3, H, W]`, labels and unknown uint8 `[H, W]`, weights float32 `[H, W]`."""
        scene = self.sampler.sample(np.random.default_rng((self.seed, index)))
        image = torch.from_numpy(np.ascontiguousarray(scene.image.transpose(2, 0, 1)))
        weights = torch.from_numpy(pixel_weights(scene))
        return image, torch.from_numpy(scene.labels), torch.from_numpy(scene.unknown), weights


def street_loss(
    logits: Tensor, objectness: Tensor, labels: Tensor, unknown: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """The parts of the loss, unweighted.

    Args:
        logits: Float `[B, 7, H/4, W/4]`.
        objectness: Float `[B, H/2, W/2]`.
        labels: uint8 `[B, H, W]`, 0..6 or 255.
        unknown: uint8 `[B, H, W]`, 0, index of an object, or 255.
        weights: Float `[B, H, W]` of `pixel_weights`.

    Returns:
        `"classes"`, `"uniform"`, `"objects"` (binary cross-entropy) and `"dice"`, all scalar.
    """
    logits, objectness = logits.float(), objectness.float()
    coarse = labels[:, 2::4, 2::4].long()
    # A mean over no pixel would be NaN: dividing the sum instead gives 0.
    known = (coarse != IGNORE).sum().clamp_min(1)
    classes = F.cross_entropy(logits, coarse, ignore_index=IGNORE, reduction="sum") / known
    strange = unknown[:, 2::4, 2::4]
    strange = ((strange > 0) & (strange < IGNORE)).float()
    to_uniform = torch.logsumexp(logits, 1) - logits.mean(1)
    uniform = (to_uniform * strange).sum() / strange.sum().clamp_min(1)
    fine, weight = unknown[:, 1::2, 1::2], weights[:, 1::2, 1::2]
    target = ((fine > 0) & (fine < IGNORE)).float()
    entropy = F.binary_cross_entropy_with_logits(objectness, target, weight, reduction="sum")
    probability = objectness.sigmoid()
    shared = (probability * target * weight).sum()
    dice = 1 - (2 * shared + 1) / ((probability * weight).sum() + (target * weight).sum() + 1)
    return {
        "classes": classes,
        "uniform": uniform,
        "objects": entropy / weight.sum().clamp_min(1),
        "dice": dice,
    }


class SegmenterModule(LightningModule):  # type: ignore[misc]
    """Lightning's view of the training; `network` is what is shipped."""

    def __init__(self, recipe: SegmenterRecipe, train_make: BatchMaker, val_make: BatchMaker) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = new_network(recipe)
        if recipe.backbone is not None and not torch.cuda.is_available():
            depthwise_in_float32(self.network)
        self._makers = (train_make, val_make)
        self._found: list[tuple[Tensor, Tensor]] = []
        self._confusion = torch.zeros(7, 7, dtype=torch.long)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One step; see `street_loss`."""
        images, labels, unknown, weights = batch
        logits, objectness = self.network(images.float() / 255)
        parts = street_loss(logits, objectness, labels, unknown, weights)
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        recipe = self.recipe
        total = (
            parts["classes"]
            + recipe.uniform_weight * parts["uniform"]
            + recipe.object_weight * (parts["objects"] + recipe.dice_weight * parts["dice"])
        )
        self.log("train/loss", total.detach(), prog_bar=True)
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
        self.log_dict(
            {"val/auprc": metrics.auprc, "val/fpr95": metrics.fpr95, "val/miou": float(iou.mean())},
            prog_bar=True,
        )
        self._found, self._confusion = [], torch.zeros(7, 7, dtype=torch.long)

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless scenes, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step
        return stream_loader(self._makers[0], None, start, self.recipe.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """The same scenes every time."""
        batches = -(-self.recipe.val_scenes // self.recipe.batch_size)
        fixed = [self._makers[1](index) for index in range(batches)]
        return DataLoader(fixed, batch_size=None)  # type: ignore[arg-type]

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW; warm-up, constant rate, linear decay."""
        recipe = self.recipe
        network = self.network
        groups = parameter_groups(
            network, network.encoder, recipe.learning_rate, recipe.encoder_rate, decay_all=True
        )
        return scheduled(
            torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay), recipe
        )


def train(
    recipe: SegmenterRecipe | str | Path,
    data_root: Path,
    out: Path,
    resume: bool = True,
    progress: bool = True,
) -> Path:
    """Trains the street network.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run: checkpoints, `curve/`, `segmenter.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Show a progress bar.

    Returns:
        The weight file: averaged weights in float16, the network's settings in its header.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data.
    """
    if not isinstance(recipe, SegmenterRecipe):
        recipe = load_recipe(recipe, SegmenterRecipe)
    makers = [
        BatchMaker(data_root, recipe, split, recipe.seed + offset)
        for split, offset in (("train", 0), ("val", 1_000_003))
    ]
    average = Ema(recipe.ema_decay)
    trainer = make_trainer(
        out,
        recipe.max_steps,
        seed=recipe.seed,
        val_every_steps=recipe.val_every_steps,
        checkpoint_minutes=recipe.checkpoint_minutes,
        precision=recipe.precision,
        callbacks=[average],
        progress=progress,
    )
    module = SegmenterModule(recipe, makers[0], makers[1])
    trainer.fit(module, ckpt_path=last_checkpoint(out, resume))
    trainer.validate(module, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    path = out / "segmenter.safetensors"
    state = {**module.network.state_dict(), **average.ema_state_dict()}
    save_weights(state, path, {"config": json.dumps(module.network.config), "seed": str(recipe.seed)})
    write_json(out / "metrics.json", {"recipe": recipe.model_dump(), "validation": metrics}, indent=1)
    return path
