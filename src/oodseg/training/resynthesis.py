"""Trains the generator that makes an image out of a label map, against patch discriminators.

Hinge loss, feature matching (weight 10) and, where there is a network to see with, a perceptual loss;
spectral normalisation on both sides, Adam with beta (0, 0.9) and a discriminator that learns four times as
fast (SPADE: Park et al., CVPR 2019; the settings of SynthCP, ECCV 2020).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from lightning.pytorch import LightningModule
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from oodseg.core.build import build_segmenter
from oodseg.core.bundle import load_weights, read_header
from oodseg.core.errors import DatasetError, WeightsError
from oodseg.core.files import write_bytes, write_json
from oodseg.failures.adversary import (
    Features,
    MultiScaleDiscriminator,
    add_spectral_norm,
    bake_spectral_norm,
    discriminator_loss,
    feature_matching,
    generator_loss,
    perceptual_loss,
    vgg_features,
)
from oodseg.failures.features import cosine_similarity, feature_stages
from oodseg.failures.spade import SpadeGenerator, one_hot
from oodseg.training.common import (
    Ema,
    last_checkpoint,
    load_recipe,
    make_trainer,
    save_weights,
    stream_loader,
    warmup_constant_decay,
)
from oodseg.training.labelled import Labelled, ViewMaker, as_tensors, fixed_view, load_label_set

Batch = tuple[Tensor, Tensor]


class ResynthesisRecipe(BaseModel):
    """All settings of a training of the generator."""

    model_config = ConfigDict(extra="forbid")
    seed: int = 0
    labels: str = "street"
    held_out: list[str] = []
    size: tuple[int, int] = (192, 256)
    widths: list[int] = [256, 192, 128, 96, 48, 24]
    discriminator_width: int = Field(default=24, ge=1)
    discriminator_layers: int = Field(default=4, ge=2)
    discriminator_scales: int = Field(default=2, ge=1)
    perceptual: str | None = "street"
    adversarial_weight: float = Field(default=1.0, ge=0)
    matching_weight: float = Field(default=10.0, ge=0)
    perceptual_weight: float = Field(default=10.0, ge=0)
    zoom: tuple[float, float] = (1.0, 1.6)
    light: float = Field(default=0.1, ge=0, le=0.5)
    max_steps: int = Field(default=1105, ge=1)
    batch_size: int = Field(default=16, ge=2)
    generator_rate: float = Field(default=1e-4, gt=0)
    discriminator_rate: float = Field(default=4e-4, gt=0)
    warmup_steps: int = Field(default=0, ge=0)
    decay_fraction: float = Field(default=0.5, ge=0, le=1)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    precision: str = "bf16-mixed"
    workers: int = Field(default=1, ge=0)
    val_images: int = Field(default=48, ge=1)
    val_every_steps: int = Field(default=500, ge=1)
    checkpoint_minutes: float = Field(default=5, gt=0)


class ResynthesisModule(LightningModule):  # type: ignore[misc]
    """Lightning's view of the training; `network` is what is shipped."""

    def __init__(
        self,
        recipe: ResynthesisRecipe,
        classes: int,
        train_make: ViewMaker,
        val: Sequence[Batch],
        samples: Path,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.recipe, self.classes = recipe, classes
        self.network = SpadeGenerator(classes, recipe.widths, min(recipe.size))
        self.discriminator = MultiScaleDiscriminator(
            classes, recipe.discriminator_width, recipe.discriminator_layers, recipe.discriminator_scales
        )
        for part in (self.network, self.discriminator):
            add_spectral_norm(part)
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._make, self._val, self._samples = train_make, val, samples
        # In a tuple, so that neither checkpoints nor optimisers see what is not trained.
        self._eyes = (build_segmenter("street"),)
        self._perceptual = self._choose_perceptual()

    def _choose_perceptual(self) -> Features | None:
        if self.recipe.perceptual is None or not self.recipe.perceptual_weight:
            return None
        if self.recipe.perceptual == "street":
            return lambda images: feature_stages(self._eyes[0], images)
        return vgg_features(Path(self.recipe.perceptual))

    def setup(self, stage: str) -> None:
        """Takes the network that is only looked through to where the training runs."""
        eyes: Any = self._eyes[0]
        eyes.to(self.trainer.strategy.root_device)

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One step of the generator, then one of the discriminators on the same image."""
        recipe, (images, labels) = self.recipe, batch
        planes = one_hot(labels, self.classes).contiguous(memory_format=torch.channels_last)
        real = images.float() / 255
        # Only the generator's optimiser goes through Lightning, so that global_step counts batches.
        ours, theirs = self.optimizers()[0], self.optimizers(use_pl_optimizer=False)[1]
        fake = self.network(planes)
        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            of_real = self.discriminator(real, planes)
        of_fake = self.discriminator(fake, planes)
        parts = {
            "adversarial": recipe.adversarial_weight * generator_loss(of_fake),
            "matching": recipe.matching_weight * feature_matching(of_real, of_fake),
        }
        if self._perceptual is not None:
            known = planes.sum(1, keepdim=True)
            parts["perceptual"] = recipe.perceptual_weight * perceptual_loss(
                self._perceptual, real * known, fake * known
            )
        ours.zero_grad()
        self.manual_backward(torch.stack(list(parts.values())).sum())
        ours.step()
        self.discriminator.requires_grad_(True)
        verdict = discriminator_loss(
            self.discriminator(real, planes), self.discriminator(fake.detach(), planes)
        )
        theirs.zero_grad()
        self.manual_backward(verdict)
        theirs.step()
        for schedule in self.lr_schedulers():
            schedule.step()
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()}, prog_bar=True)
        self.log("train/discriminator", verdict.detach(), prog_bar=True)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Logs how alike image and re-synthesis look to the street network, and writes a page of samples."""
        images, labels = batch
        real = images.float() / 255
        fake = self.network(one_hot(labels, self.classes)).float()
        size = (real.shape[-2], real.shape[-1])
        eyes = self._eyes[0]
        alike = cosine_similarity(feature_stages(eyes, real), feature_stages(eyes, fake), size)
        known = labels < self.classes
        self.log_dict(
            {"val/similarity": alike[known].mean(), "val/l1": F.l1_loss(fake, real)},
            prog_bar=True,
            batch_size=len(real),
        )
        if batch_index == 0:
            page = sample_page(images, labels, fake, self.classes)
            write_bytes(self._samples / f"step-{self.trainer.global_step}.png", page)

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless views, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step * self.recipe.batch_size
        return stream_loader(self._make, self.recipe.batch_size, start, self.recipe.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """The same images every time."""
        return DataLoader(list(self._val), batch_size=self.recipe.batch_size)  # type: ignore[arg-type]

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Adam for both; constant rate, then linear decay."""
        recipe = self.recipe
        found = [
            torch.optim.Adam(part.parameters(), lr=rate, betas=(0.0, 0.9))
            for part, rate in (
                (self.network, recipe.generator_rate),
                (self.discriminator, recipe.discriminator_rate),
            )
        ]
        schedules = [
            warmup_constant_decay(each, recipe.warmup_steps, recipe.max_steps, recipe.decay_fraction)
            for each in found
        ]
        return list(found), schedules


def sample_page(images: Tensor, labels: Tensor, fake: Tensor, classes: int) -> bytes:
    """Label map, image and re-synthesis side by side, one row per image, as PNG."""
    hues = np.arange(classes + 1) * 180 // (classes + 1)
    palette = cv2.cvtColor(
        np.stack([hues, np.full_like(hues, 160), np.full_like(hues, 220)], 1)[None].astype(np.uint8),
        cv2.COLOR_HSV2RGB,
    )[0]
    rows = []
    for image, codes, made in zip(
        images.cpu().numpy(), labels.cpu().numpy(), fake.cpu().numpy(), strict=True
    ):
        painted = palette[np.minimum(codes, classes)]
        drawn = (made * 255).round().astype(np.uint8).transpose(1, 2, 0)
        rows.append(np.concatenate([painted, image.transpose(1, 2, 0), drawn], 1))
    page = np.concatenate(rows)
    return bytes(cv2.imencode(".png", np.ascontiguousarray(page[..., ::-1]))[1])


def fixed_sample(labelled: Labelled, size: tuple[int, int]) -> Batch:
    """A labelled image at a size, without chance; see `fixed_view`."""
    image, labels = labelled.read()
    return as_tensors(fixed_view(image, size), fixed_view(labels, size, nearest=True))


def train(
    recipe: ResynthesisRecipe | str | Path,
    data_root: Path,
    out: Path,
    resume: bool = True,
    progress: bool = True,
) -> Path:
    """Trains the generator.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run: checkpoints, `curve/`, `samples/`, `resynthesis.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Show a progress bar.

    Returns:
        The weight file: averaged weights in float16, the generator's settings in its header.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data.
        WeightsError: The network of the perceptual loss is missing.
    """
    if not isinstance(recipe, ResynthesisRecipe):
        recipe = load_recipe(recipe, ResynthesisRecipe)
    found = load_label_set(recipe.labels, data_root, recipe.held_out)
    if not found.train or not found.val:
        raise DatasetError(f"{data_root} holds no images of the label set {recipe.labels}: check the folder")
    every = max(1, len(found.val) // recipe.val_images)
    shown = found.val[::every][: recipe.val_images]
    val = [fixed_sample(each, recipe.size) for each in shown]
    average = Ema(recipe.ema_decay)
    trainer = make_trainer(
        out,
        recipe.max_steps,
        seed=recipe.seed,
        val_every_steps=recipe.val_every_steps,
        checkpoint_minutes=recipe.checkpoint_minutes,
        precision=recipe.precision,
        gradient_clip=None,  # Lightning clips nothing where the module steps by itself
        callbacks=[average],
        progress=progress,
    )
    module = ResynthesisModule(
        recipe, len(found.classes), ViewMaker(found.train, recipe, recipe.seed), val, out / "samples"
    )
    trainer.fit(module, ckpt_path=last_checkpoint(out, resume))
    trainer.validate(module, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    module.network.load_state_dict({**module.network.state_dict(), **average.ema_state_dict()})
    bake_spectral_norm(module.network)
    path = out / "resynthesis.safetensors"
    header = {
        "config": json.dumps(module.network.config),
        "classes": json.dumps(found.classes),
        "seed": str(recipe.seed),
    }
    save_weights(module.network.state_dict(), path, header)
    write_json(out / "metrics.json", {"recipe": recipe.model_dump(), "validation": metrics}, indent=1)
    return path


def load_generator(path: Path) -> tuple[SpadeGenerator, tuple[str, ...]]:
    """Loads what `train` wrote: the generator and the names of its classes.

    Raises:
        WeightsError: No whole weight file of this training.
    """
    header = read_header(path)
    try:
        config, classes = json.loads(header["config"]), json.loads(header["classes"])
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path} is no weight file of a generator: run `oodseg train resynthesis` first"
        ) from error
    generator = SpadeGenerator(**config)
    load_weights(generator, path)
    return generator, tuple(classes)
