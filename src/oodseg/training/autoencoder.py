"""Trains the autoencoder of images (the baseline "AE" of SynthCP, after Baur et al., 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.progress import Progress
from oodseg.failures.autoencoder import ImageAutoencoder
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import load_trained, save_trained
from oodseg.training.labelled import Labelled, ViewMaker

_SAMPLES = 33  # of other numbers than those of the other trainings


class AutoencoderRecipe(LoopRecipe):
    """All settings of a training of the autoencoder.

    Attributes:
        size, zoom, light: Of the views that it learns on (`oodseg.training.labelled.ViewMaker`).
        widths, latent: Of `ImageAutoencoder`.
    """

    size: tuple[int, int] = (96, 128)
    zoom: tuple[float, float] = (1.0, 1.3)
    light: float = Field(default=0.1, ge=0, le=0.5)
    widths: list[int] = Field(default=[16, 32, 64, 64])
    latent: int = Field(default=16, ge=1)
    max_steps: int = Field(default=1500, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    val_every_steps: None = None


class AutoencoderModule(TrainingModule):
    """Loss and samples of the autoencoder."""

    recipe: AutoencoderRecipe
    network: ImageAutoencoder

    def __init__(self, recipe: AutoencoderRecipe, make: ViewMaker) -> None:
        super().__init__(recipe, ImageAutoencoder(recipe.widths, recipe.latent, min(recipe.size)), make)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Computes the mean absolute difference of image and what is made of it (Baur et al., Eq. 1)."""
        images = batch[0].float() / 255
        loss: Tensor = F.l1_loss(self.network(images), images)
        self.log("train/loss", loss.detach())
        return loss


def train_autoencoder(
    recipe: AutoencoderRecipe,
    images: Sequence[Labelled],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> ImageAutoencoder:
    """Trains the autoencoder.

    Args:
        recipe: The settings.
        images: To learn on; their labels do not count.
        out: Folder of this run: checkpoint, `autoencoder.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.
    """
    resume = resume and goes_on(
        out, [recipe.model_dump(mode="json", exclude={"max_steps", *MACHINE}), len(images)]
    )
    make = ViewMaker(images, recipe, recipe.seed + _SAMPLES)
    done = run_training(recipe, lambda: AutoencoderModule(recipe, make), out, resume, progress)
    save_trained(out, "autoencoder", done.network, recipe, done.validation, hours=done.hours)
    network: ImageAutoencoder = load_trained(out, "autoencoder", ImageAutoencoder)
    return network
