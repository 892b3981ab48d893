"""Trains the generator that makes an image out of a label map, against patch discriminators.

Hinge loss, feature matching (weight 10) and, where there is a network to see with, a perceptual loss;
spectral normalisation on both sides, Adam with beta (0, 0.9) and a discriminator that learns four times as
fast (SPADE: Park et al., CVPR 2019; the settings of SynthCP, ECCV 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from oodseg.core.build import build_segmenter
from oodseg.core.errors import DatasetError
from oodseg.core.files import write_bytes
from oodseg.core.progress import Progress
from oodseg.failures.adversary import (
    Features,
    MultiScaleDiscriminator,
    add_spectral_norm,
    bake_spectral_norm,
    discriminator_loss,
    encoder_features,
    feature_matching,
    generator_loss,
    perceptual_loss,
    vgg_features,
)
from oodseg.failures.features import cosine_similarity, feature_stages
from oodseg.failures.spade import SpadeGenerator, one_hot
from oodseg.failures.synthcp_detector import load_synthcp
from oodseg.nn.encoders import WHEELS
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe, load_recipe
from oodseg.training.engine.schedule import scheduled
from oodseg.training.engine.trained import Trained, finished, load_trained, read_note, save_trained
from oodseg.training.labelled import Labelled, ViewMaker, as_tensors, fixed_view, load_label_set
from oodseg.training.resynthesis_page import sample_page

Batch = tuple[Tensor, Tensor]


class ResynthesisRecipe(LoopRecipe):
    """All settings of a training of the generator; `learning_rate` is the generator's.

    Attributes:
        labels, held_out: Label set to learn on and classes to leave out (`oodseg.training.labelled`).
        size, zoom, light: Of the views that it learns on (`oodseg.training.labelled.ViewMaker`).
        widths: Of `SpadeGenerator`.
        discriminator_width, discriminator_layers, discriminator_scales: Of `MultiScaleDiscriminator`.
        discriminator_rate: Learning rate of the discriminators.
        perceptual: What the perceptual loss sees with: `"street"`, an encoder of `oodseg.nn.encoders.WHEELS`
            (pretrained on ImageNet), the file of a VGG-19, or None for no such loss.
        adversarial_weight, matching_weight, perceptual_weight: Of the parts of the generator's loss.
        val_images: Images to validate on.
        gradient_clip: Always None: two optimisers take turns, which Lightning does not clip.
    """

    labels: str = "street"
    held_out: list[str] = Field(default=[])
    size: tuple[int, int] = (192, 256)
    widths: list[int] = Field(default=[256, 192, 128, 96, 48, 24])
    discriminator_width: int = Field(default=24, ge=1)
    discriminator_layers: int = Field(default=4, ge=2)
    discriminator_scales: int = Field(default=2, ge=1)
    discriminator_rate: float = Field(default=4e-4, gt=0)
    perceptual: str | None = "street"
    adversarial_weight: float = Field(default=1.0, ge=0)
    matching_weight: float = Field(default=10.0, ge=0)
    perceptual_weight: float = Field(default=10.0, ge=0)
    zoom: tuple[float, float] = (1.0, 1.6)
    light: float = Field(default=0.1, ge=0, le=0.5)
    val_images: int = Field(default=48, ge=1)
    max_steps: int = Field(default=1105, ge=1)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    gradient_clip: None = None
    val_every_steps: int = Field(default=500, ge=1)
    checkpoint_minutes: float = Field(default=5.0, gt=0)


class ResynthesisModule(TrainingModule):
    """Losses, samples and optimisers of generator and discriminators."""

    recipe: ResynthesisRecipe

    def __init__(
        self,
        recipe: ResynthesisRecipe,
        classes: int,
        train_make: ViewMaker,
        val: Sequence[Batch],
        samples: Path,
    ) -> None:
        super().__init__(recipe, SpadeGenerator(classes, recipe.widths, min(recipe.size)), train_make)
        self.automatic_optimization = False
        self.classes = classes
        self.discriminator = MultiScaleDiscriminator(
            classes, recipe.discriminator_width, recipe.discriminator_layers, recipe.discriminator_scales
        )
        for part in (self.network, self.discriminator):
            add_spectral_norm(part)
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._val, self._samples = val, samples
        # In a tuple, so that neither checkpoints nor optimisers see what is not trained.
        self._eyes = (build_segmenter("street"),)
        self._perceptual = self._choose_perceptual()

    def _choose_perceptual(self) -> Features | None:
        if self.recipe.perceptual is None or not self.recipe.perceptual_weight:
            return None
        if self.recipe.perceptual == "street":
            return lambda images: feature_stages(self._eyes[0], images)
        if self.recipe.perceptual in WHEELS:
            return encoder_features(self.recipe.perceptual)
        return vgg_features(Path(self.recipe.perceptual))

    def setup(self, stage: str) -> None:
        """Takes the network that is only looked through to where the training runs."""
        eyes: Any = self._eyes[0]
        eyes.to(self.trainer.strategy.root_device)

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Trains the generator, then the discriminators, on the same image."""
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
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        self.log("train/discriminator", verdict.detach())

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
            {"val/similarity": alike[known].mean(), "val/l1": F.l1_loss(fake, real)}, batch_size=len(real)
        )
        if batch_index == 0:
            page = sample_page(images, labels, fake, self.classes)
            write_bytes(self._samples / f"step-{self.trainer.global_step}.png", page)

    def val_dataloader(self) -> DataLoader[Any]:
        """Loads the same images every time."""
        return DataLoader(list(self._val), batch_size=self.recipe.batch_size)  # type: ignore[arg-type]

    def configure_optimizers(self) -> Any:
        """Makes Adam for both, each at a rate of its own."""
        recipe = self.recipe
        rates = ((self.network, recipe.learning_rate), (self.discriminator, recipe.discriminator_rate))
        options: dict[str, Any] = {"betas": (0.0, 0.9), "weight_decay": recipe.weight_decay}
        return [
            scheduled(torch.optim.Adam(part.parameters(), lr=rate, **options), recipe) for part, rate in rates
        ]


def fixed_sample(labelled: Labelled, size: tuple[int, int]) -> Batch:
    """Returns a labelled image at a size, without chance; see `fixed_view`."""
    image, labels = labelled.read()
    return as_tensors(fixed_view(image, size), fixed_view(labels, size, nearest=True))


def train(
    recipe: ResynthesisRecipe | str | Path,
    data_root: Path,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains the generator.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run: checkpoint, `curve/`, `samples/`, `resynthesis.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data.
        WeightsError: The network of the perceptual loss is missing.
    """
    settings = load_recipe(recipe, ResynthesisRecipe)
    found = load_label_set(settings.labels, data_root, settings.held_out)
    if not found.train or not found.val:
        raise DatasetError(
            f"{data_root} holds no images of the label set {settings.labels}: check the folder"
        )
    every = max(1, len(found.val) // settings.val_images)
    val = [fixed_sample(each, settings.size) for each in found.val[::every][: settings.val_images]]
    make = ViewMaker(found.train, settings, settings.seed)

    def module() -> ResynthesisModule:
        return ResynthesisModule(settings, len(found.classes), make, val, out / "samples")

    done = run_training(settings, module, out, resume, progress)
    bake_spectral_norm(done.network)
    notes = {"classes": found.classes}
    return save_trained(
        out, "resynthesis", done.network, settings, done.validation, notes=notes, hours=done.hours
    )


def load_generator(out: Path) -> tuple[SpadeGenerator, tuple[str, ...]]:
    """Loads what `train` left in a folder: the generator and the names of its classes.

    Raises:
        WeightsError: The training is not finished, or its file is damaged.
    """
    generator: SpadeGenerator = load_trained(out, "resynthesis", SpadeGenerator)
    return generator, tuple(read_note(finished(out, "resynthesis"), "classes"))


def generator_of(source: str) -> SpadeGenerator:
    """Finds a generator.

    Args:
        source: Folder that `train` wrote; or a failure detector that has a generator, by bundled name or
            folder.

    Raises:
        WeightsError: There is none, or it is damaged.
        ConfigError: The failure detector reconstructs no images.
    """
    if (Path(source) / "resynthesis.safetensors").is_file():
        return load_generator(Path(source))[0]
    return load_synthcp(source).generator
