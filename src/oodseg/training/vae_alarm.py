"""Trains the VAE of the VAE alarm on true label maps (Liu et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from oodseg.core.progress import Progress
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.spade import one_hot
from oodseg.failures.vae_alarm import ShapeVAE, overlap
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import load_trained, save_trained
from oodseg.training.labelled import Labelled

_SAMPLES = 99  # of other numbers than those of the other trainings


class VAERecipe(LoopRecipe):
    """All settings of a training of the VAE.

    Attributes:
        side, widths, latent: Of `ShapeVAE`.
        shift: How far label maps are moved at random, as a share of their sides.
        zoom: Least and most times that they are enlarged at random.
        prior_weight: Of the Kullback-Leibler part of the loss, per label map; the paper's.
    """

    side: int = Field(default=64, ge=2)
    widths: list[int] = Field(default=[16, 32, 48, 64])
    latent: int = Field(default=32, ge=1)
    shift: float = Field(default=0.1, ge=0, le=0.5)
    zoom: tuple[float, float] = (0.9, 1.1)
    prior_weight: float = Field(default=2.0**-5, ge=0)
    max_steps: int = Field(default=800, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    ema_decay: float | None = Field(default=None, ge=0, lt=1)
    val_every_steps: None = None


class ShapeMaker:
    """Makes numbered training samples: true label maps, moved, enlarged and mirrored at random.

    Args:
        images: Labelled images; each is equally likely, and only its labels count.
        recipe: The settings.
    """

    def __init__(self, images: Sequence[Labelled], recipe: VAERecipe) -> None:
        self.images, self.recipe = images, recipe

    def __call__(self, index: int) -> Tensor:
        """Makes labels uint8 `[side, side]`; 255 where there are none."""
        rng = np.random.default_rng((self.recipe.seed + _SAMPLES, index))
        labels = self.images[int(rng.integers(len(self.images)))].read()[1]
        side = self.recipe.side
        factor = rng.uniform(*self.recipe.zoom)
        across, down = rng.uniform(-self.recipe.shift, self.recipe.shift, 2) * side
        scale = np.array([side / labels.shape[1], side / labels.shape[0]]) * factor
        middle = (1 - factor) * side / 2
        # Pixels are counted from their centres: the first one lies at 0.
        offset = middle + np.array([across, down]) + (scale - 1) / 2
        matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])
        moved = cv2.warpAffine(
            labels, matrix, (side, side), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        if rng.random() < 0.5:
            moved = moved[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(moved))


class VAEModule(TrainingModule):
    """Loss and samples of the VAE."""

    recipe: VAERecipe
    network: ShapeVAE

    def __init__(self, recipe: VAERecipe, classes: int, make: ShapeMaker) -> None:
        super().__init__(recipe, ShapeVAE(classes, recipe.side, recipe.widths, recipe.latent), make)

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        """Computes the loss; see `vae_loss`."""
        logits, mean, log_variance = self.network(one_hot(batch, self.network.classes))
        parts = vae_loss(logits, mean, log_variance, batch)
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        return parts["shape"] + self.recipe.prior_weight * parts["prior"]


def vae_loss(logits: Tensor, mean: Tensor, log_variance: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Computes the two parts of the loss (Liu et al. 2019, Eq. 5).

    Args:
        logits: Float `[B, C, H, W]`.
        mean: Float `[B, D]`.
        log_variance: Float `[B, D]`.
        labels: Integers `[B, H, W]`; 255 does not count.

    Returns:
        `"shape"`: one minus the Dice of label map and reconstruction, mean over classes; `"prior"`: the
        Kullback-Leibler divergence of the latent from the standard normal, summed over its numbers. Scalars.
    """
    known = (labels != IGNORE)[:, None]
    made = logits.float().softmax(1) * known
    planes = one_hot(labels, logits.shape[1])
    prior = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
    return {"shape": 1 - overlap(planes, made).mean(), "prior": prior.mean()}


def train_vae(
    recipe: VAERecipe,
    classes: int,
    images: Sequence[Labelled],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> ShapeVAE:
    """Trains the VAE.

    Args:
        recipe: The settings.
        classes: Number of classes.
        images: To learn on: their labels are right.
        out: Folder of this run: checkpoint, `vae.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.
    """
    resume = resume and goes_on(
        out, [recipe.model_dump(mode="json", exclude={"max_steps", *MACHINE}), len(images)]
    )
    make = ShapeMaker(images, recipe)
    done = run_training(recipe, lambda: VAEModule(recipe, classes, make), out, resume, progress)
    save_trained(out, "vae", done.network, recipe, done.validation, hours=done.hours)
    vae: ShapeVAE = load_trained(out, "vae", ShapeVAE)
    return vae
