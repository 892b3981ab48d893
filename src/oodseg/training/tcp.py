"""Trains the head of the TCP baseline (ConfidNet: Corbière et al., NeurIPS 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from oodseg.core.fingerprint import hash_part
from oodseg.core.progress import Progress
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.tcp import TCPHead
from oodseg.segmenters import Segmenter
from oodseg.training.comparator_segmenter import FoldRecipe
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import save_trained
from oodseg.training.labelled import Labelled, ViewMaker

# Samples of other numbers than those that the segmenter learned on.
_SAMPLES = 77


class TCPRecipe(LoopRecipe):
    """All settings of a training of TCP's head; its samples are like those of the segmenter."""

    max_steps: int = Field(default=800, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    ema_decay: float | None = Field(default=None, ge=0, lt=1)
    val_every_steps: None = None


class TCPModule(TrainingModule):
    """Loss and samples of TCP's head; the segmenter stays as it is."""

    def __init__(self, recipe: TCPRecipe, segmenter: Segmenter, channels: int, make: ViewMaker) -> None:
        super().__init__(recipe, TCPHead(channels), make)
        # In a tuple, so that neither checkpoints nor optimisers see what is not trained.
        self._segmenter = (segmenter,)

    def setup(self, stage: str) -> None:
        """Takes the segmenter to where the training runs."""
        self._segmenter[0].to(self.trainer.strategy.root_device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Computes the mean squared error of the true class's probability (ConfidNet, Eq. 4)."""
        images, labels = batch
        with torch.no_grad():
            found = self._segmenter[0].segment(images.float() / 255)
            features, logits = found.features, found.logits
        if features is None:
            raise RuntimeError("the head is only trained on segmenters that hand out features")
        # Made in inference mode; a clone takes part in the graph.
        estimate = self.network(features.clone().float()).float().sigmoid()
        step = labels.shape[-1] / logits.shape[-1]
        rows, columns = (_centres(size, step, labels.device) for size in logits.shape[-2:])
        truth = labels[:, rows][:, :, columns].long()
        known = truth != IGNORE
        shares = logits.clone().float().softmax(1)
        target = shares.gather(1, truth.where(known, 0)[:, None])[:, 0]
        loss: Tensor = ((estimate - target).square() * known).sum() / known.sum().clamp_min(1)
        self.log("train/loss", loss.detach())
        return loss


def train_tcp(
    recipe: TCPRecipe,
    views: FoldRecipe,
    segmenter: Segmenter,
    images: Sequence[Labelled],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> TCPHead:
    """Trains TCP's head on a segmenter that hands out features.

    Args:
        recipe: The settings.
        views: Says which views of the images the samples are.
        segmenter: The segmenter under test.
        images: To learn on: those that the segmenter learned on, as ConfidNet does.
        out: Folder of this run: checkpoint, `tcp.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.
    """
    probe = segmenter.segment(torch.zeros(1, 3, *views.size)).features
    if probe is None:
        raise RuntimeError("the head is only trained on segmenters that hand out features")
    channels = probe.shape[1]
    seen = views.model_dump(mode="json", include={"size", "zoom", "light"})
    fixed = recipe.model_dump(mode="json", exclude={"max_steps", *MACHINE})
    resume = resume and goes_on(out, [fixed, seen, hash_part(segmenter)])
    make = ViewMaker(images, views, recipe.seed + _SAMPLES)
    done = run_training(recipe, lambda: TCPModule(recipe, segmenter, channels, make), out, resume, progress)
    segmenter.to("cpu")
    save_trained(out, "tcp", done.network, recipe, done.validation, hours=done.hours)
    head: TCPHead = done.network
    return head


def _centres(count: int, step: float, device: torch.device) -> Tensor:
    """Rows or columns of the full map that lie in the middle of the coarse map's cells."""
    return ((torch.arange(count, device=device) + 0.5) * step).long()
