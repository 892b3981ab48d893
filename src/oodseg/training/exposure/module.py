"""A head in training: scenes go through the frozen segmenter, and the method's loss through the head."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from oodseg.core.taxonomy import CLASSES, IGNORE
from oodseg.metrics.pixel import pixel_metrics
from oodseg.nn.taught import TaughtDetector
from oodseg.nn.uncertainty import energy, msp, softmax_entropy
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.stream import stream_loader
from oodseg.training.exposure.method import Method
from oodseg.training.exposure.recipe import ExposureRecipe
from oodseg.training.exposure.truth import Truth
from oodseg.training.segmenter_samples import Batch, BatchMaker

# What the method starts from, of the same frozen network.
_BASES = {"msp": msp, "energy": energy, "entropy": softmax_entropy}


class Taught(nn.Module):
    """Holds the networks that are trained: the head, and what the method trains beside it."""

    def __init__(self, head: nn.Module, companion: nn.Module | None) -> None:
        super().__init__()
        self.head, self.companion = head, companion


class ExposureModule(TrainingModule):
    """Loss, samples and validation of a method.

    Args:
        method: The method, prepared.
        detector: What it built.
        train_make: Scenes to learn on.
        val_batches: Scenes to validate on.
    """

    recipe: ExposureRecipe
    network: Taught

    def __init__(
        self,
        method: Method[Any],
        detector: TaughtDetector[Any],
        train_make: BatchMaker,
        val_batches: list[Batch],
    ) -> None:
        super().__init__(method.recipe, Taught(detector.head, method.new_companion(detector)), train_make)
        # In a tuple, so that checkpoints hold the head and not the segmenter.
        self._method, self._held, self._val_batches = method, (detector,), val_batches
        self._scores: dict[str, list[Tensor]] = {}
        self._codes: list[Tensor] = []
        self._confusion: dict[str, Tensor] = {}

    @property
    def detector(self) -> TaughtDetector[Any]:
        """The detector whose head is trained."""
        return self._held[0]

    def on_fit_start(self) -> None:
        """Brings the frozen segmenter to where the head is."""
        self.detector.to(self.device)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Computes one step."""
        seen, truth = look(self.detector, batch, self.recipe)
        parts = self._method.losses(self.detector, seen, truth, self.network.companion)
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        total = torch.stack(list(parts.values())).sum()
        self.log("train/loss", total.detach())
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collects scores and class counts on scenes of unseen drives and objects."""
        detector = self.detector
        seen, truth = look(detector, batch, self.recipe)
        found = {"": detector.judge(seen), **{f"_{name}": of(seen.logits) for name, of in _BASES.items()}}
        for name, score in found.items():
            self._scores.setdefault(name, []).append(score.float().flatten().cpu())
        codes = torch.where(truth.outlier, 1, torch.where(truth.inlier, 0, IGNORE))
        self._codes.append(codes.flatten().cpu())
        own = seen.logits if detector.keeps_classes else detector.read(seen)
        count = seen.logits.shape[1]
        for name, logits in (("miou", own[:, :count]), ("miou_frozen", seen.logits)):
            judged = (truth.labels != IGNORE) & truth.inlier
            pairs = truth.labels[judged] * count + logits.argmax(1)[judged]
            counts = torch.bincount(pairs, minlength=count**2).view(count, count).cpu()
            self._confusion[name] = self._confusion.get(name, torch.zeros_like(counts)) + counts

    def on_validation_epoch_end(self) -> None:
        """Logs AuPRC and FPR95 of the detector, AuPRC of what it started from, and the classes' mean IoU."""
        labels = torch.cat(self._codes).numpy().astype(np.uint8)
        figures = {
            name: pixel_metrics(torch.cat(each).numpy(), labels) for name, each in self._scores.items()
        }
        self.log_dict({f"val/auprc{name}": each.auprc for name, each in figures.items()})
        self.log("val/fpr95", figures[""].fpr95)
        for name, confusion in self._confusion.items():
            shared = confusion.diag().double()
            union = confusion.sum(0) + confusion.sum(1) - shared
            self.log(f"val/{name}", float((shared[union > 0] / union[union > 0]).mean()))
        self._scores, self._codes, self._confusion = {}, [], {}

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless batches, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step
        return stream_loader(self._make, None, start, self.recipe.workers, share=self.share)

    def val_dataloader(self) -> DataLoader[Any]:
        """Loads the same scenes every time."""
        return DataLoader(self._val_batches, batch_size=None)  # type: ignore[arg-type]


def look(detector: TaughtDetector[Any], batch: Batch, recipe: ExposureRecipe) -> tuple[Any, Truth]:
    """Shows a batch of scenes to a detector's frozen part; with the truth at the resolution of its logits."""
    images, labels, unknown, _ = batch
    seen = detector.see(images.float() / 255)
    truth = Truth.of(labels, unknown, seen.logits.shape[-2:])
    fit = recipe.targets == "auto" and tuple(detector.segmenter.classes) == CLASSES
    return seen, truth if fit or recipe.targets == "labels" else truth.of_network(seen.logits)
