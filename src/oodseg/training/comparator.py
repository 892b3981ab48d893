"""Trains the comparator of SynthCP on cached predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader

from oodseg.core.progress import Progress
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.comparator import Comparator, comparator_loss
from oodseg.metrics.failure import FailureCurve, image_failure_metrics
from oodseg.nn.encoders import Pretrained
from oodseg.nn.tensors import resize_scores
from oodseg.training.autoencoder import AutoencoderRecipe
from oodseg.training.comparator_cache import read_cached
from oodseg.training.comparator_samples import Batch, CachedMaker, as_sample
from oodseg.training.comparator_segmenter import FoldRecipe
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import save_trained
from oodseg.training.observer import ObserverRecipe
from oodseg.training.tcp import TCPRecipe
from oodseg.training.vae_alarm import VAERecipe

# What a comparator does not depend on, or only through the cache.
_ELSEWHERE = {
    "max_steps", "segmenter", "tcp", "vae", "observer", "autoencoder", "learned_baselines", "enlarged",
    "hasty_steps", "workers", "val_every_steps", "checkpoint_minutes", "calibration_images",
    *MACHINE,
}  # fmt: skip


class ComparatorRecipe(LoopRecipe):
    """All settings of a training of failure detectors; those at the top are the comparator's own.

    Attributes:
        labels, held_out: Label set to learn on and classes to leave out (`oodseg.training.labelled`).
        quality: What the quality of a class is.
        folds: Segmenters that each leave out a part of the images; 0 for no comparator, baselines only.
        exposure: Share of samples with unknown objects pasted in.
        segmenter: The segmenter under test, and those of the folds.
        tcp: The head of the TCP baseline.
        vae, observer, autoencoder: Of the VAE alarm, the observer and the autoencoder.
        learned_baselines: Those of the baselines for images that are trained or fitted.
        enlarged: How many times its size the segmenters look at a slice of a scan.
        hasty_steps: Of further segmenters of scans, whose many mistakes are learned, too; 0 for none.
        size: Height and width of the cached predictions.
        widths, fused, backbone: Of `Comparator`.
        pretrained: Where the weights of a backbone come from (`oodseg.nn.encoders.load_pretrained`).
        light: How far brightness and contrast of the samples change.
        quality_weight: Of the classes' part of the loss.
        calibration_images: Images of the validation split that all detectors are calibrated on.
    """

    labels: str = "street"
    held_out: list[str] = Field(default=[])
    quality: Literal["iou", "dice"] = "iou"
    folds: int = Field(default=4, ge=0)
    exposure: float = Field(default=0.3, ge=0, le=1)
    segmenter: FoldRecipe = FoldRecipe()
    tcp: TCPRecipe = TCPRecipe()
    vae: VAERecipe = VAERecipe()
    observer: ObserverRecipe = ObserverRecipe()
    autoencoder: AutoencoderRecipe = AutoencoderRecipe()
    learned_baselines: list[Literal["tcp", "mahalanobis", "observer", "autoencoder", "vae_alarm"]] = Field(
        default=["tcp", "mahalanobis", "observer", "autoencoder", "vae_alarm"]
    )
    enlarged: float = Field(default=1.0, gt=0)
    hasty_steps: int = Field(default=0, ge=0)
    size: tuple[int, int] = (192, 256)
    widths: list[int] = Field(default=[24, 32, 64, 96, 128])
    fused: int = Field(default=16, ge=1)
    backbone: str | None = None
    pretrained: Pretrained = "wheel"
    light: float = Field(default=0.1, ge=0, le=0.5)
    quality_weight: float = Field(default=1.0, ge=0)
    calibration_images: int = Field(default=200, ge=1)
    max_steps: int = Field(default=2200, ge=1)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    val_every_steps: int = Field(default=500, ge=1)

    @property
    def uses_dice(self) -> bool:
        """True if the quality of a class is its Dice, False if it is its IoU."""
        return self.quality == "dice"


class ComparatorModule(TrainingModule):
    """Loss and samples of a comparator."""

    recipe: ComparatorRecipe

    def __init__(
        self,
        recipe: ComparatorRecipe,
        classes: int,
        resynthesis: bool,
        make: CachedMaker,
        val: Sequence[Path],
    ) -> None:
        network = Comparator(
            classes, recipe.widths, recipe.fused, resynthesis, min(recipe.size), backbone=recipe.backbone
        )
        network.load_eyes(recipe.pretrained)
        super().__init__(recipe, network.to(memory_format=torch.channels_last), make)
        self._val = val
        self._curve, self._qualities = FailureCurve(), list[tuple[Any, Any]]()

    def _compare(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        images, resynthesis, shares = (each.float() / 255 for each in batch[:3])
        other = resynthesis if self.network.sees_resynthesis else None
        error, quality = self.network(images, shares, other)
        return error, quality, shares.amax(1)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Computes one step; see `comparator_loss`."""
        error, quality, confidence = self._compare(batch)
        parts = comparator_loss(error, quality, confidence, *batch[3:])
        total = parts["pixels"] + self.recipe.quality_weight * parts["classes"]
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        self.log("train/loss", total.detach())
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collects errors and qualities on images of the validation split."""
        error, quality, confidence = self._compare(batch)
        full = resize_scores(error, confidence.shape[-2:])
        wrongness = full.float().sigmoid().cpu().numpy()
        labels, truth, true = (each.cpu().numpy() for each in batch[3:])
        for row, estimate in enumerate(quality.float().sigmoid().cpu().numpy()):
            self._curve.update(wrongness[row], labels[row] != truth[row], truth[row] == IGNORE)
            predicted = np.bincount(labels[row].ravel(), minlength=len(estimate))[: len(estimate)] > 0
            self._qualities.append((np.where(predicted, estimate, np.nan), true[row]))

    def on_validation_epoch_end(self) -> None:
        """Logs AUPR-Error and the correlation of the images' mean quality."""
        pixels = self._curve.compute()
        images = image_failure_metrics(*(np.stack(each) for each in zip(*self._qualities, strict=True)))
        self.log_dict(
            {
                "val/aupr_error": pixels.aupr_error,
                "val/fpr95": pixels.fpr95,
                "val/pearson": np.nan_to_num(images.mean_pearson),
                "val/class_pearson": np.nan_to_num(images.pearson),
            }
        )
        self._curve, self._qualities = FailureCurve(), []

    def val_dataloader(self) -> DataLoader[Any]:
        """Loads the same images every time."""
        fixed = [as_sample(read_cached(path), self.recipe.uses_dice) for path in self._val]
        return DataLoader(fixed, batch_size=self.recipe.batch_size)  # type: ignore[arg-type]


def train_comparator(
    recipe: ComparatorRecipe,
    classes: int,
    resynthesis: bool,
    train_paths: tuple[Sequence[Path], Sequence[Path]],
    val_paths: Sequence[Path],
    out: Path,
    mark: Any,
    resume: bool = True,
    progress: Progress | None = None,
) -> tuple[Comparator, dict[str, float]]:
    """Trains one comparator from cached predictions.

    Args:
        recipe: The settings.
        classes: Number of classes.
        resynthesis: Whether it sees the re-synthesis; without it is "direct prediction".
        train_paths: Files of `build_cache` to learn on: without and with unknown objects.
        val_paths: Those to validate on.
        out: Folder of this comparator's run: checkpoint, `comparator.safetensors`, `metrics.json`.
        mark: What the files depend on, JSON-able: another one than last time starts anew.
        resume: Go on from the last checkpoint.
        progress: Told after every step.

    Returns:
        The comparator, and its figures on the validation files.
    """
    resume = resume and goes_on(out, [recipe.model_dump(mode="json", exclude=_ELSEWHERE), mark])
    make = CachedMaker(
        *train_paths,
        exposure=recipe.exposure,
        seed=recipe.seed,
        light=recipe.light,
        dice=recipe.uses_dice,
    )

    def module() -> ComparatorModule:
        return ComparatorModule(recipe, classes, resynthesis, make, val_paths)

    done = run_training(recipe, module, out, resume, progress)
    save_trained(out, "comparator", done.network, recipe, done.validation, hours=done.hours)
    return done.network, done.validation
