"""Trains the observer on the segmenter's errors, and on those that local attacks bring about.

Besnier et al., ICCV 2021, Sec. 3.3: on the images that a segmenter learned on it hardly errs, so a part of
each image, of random place and shape, is changed by one step of the fast gradient sign method (Goodfellow et
al., ICLR 2015) to make it err there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import hash_part
from oodseg.core.progress import Progress
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.observer import ObserverNet
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter
from oodseg.segmenters.street import StreetNet
from oodseg.training.comparator_segmenter import FoldRecipe
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import load_trained, save_trained
from oodseg.training.labelled import Labelled, ViewMaker

_SAMPLES = 55  # of other numbers than those of the other trainings


class ObserverRecipe(LoopRecipe):
    """All settings of a training of the observer; its samples are like those of the segmenter.

    Attributes:
        width: Of `ObserverNet`.
        strength: Most that a colour is changed by an attack, 0..1; 0 for none. Segmenters other than the
            street network are not attacked: they give no gradient.
    """

    width: int = Field(default=48, ge=2)
    strength: float = Field(default=0.03, ge=0, le=1)
    max_steps: int = Field(default=800, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    ema_decay: float | None = Field(default=None, ge=0, lt=1)
    val_every_steps: None = None


class ObserverModule(TrainingModule):
    """Loss and samples of the observer; the segmenter stays as it is."""

    recipe: ObserverRecipe
    network: ObserverNet

    def __init__(self, recipe: ObserverRecipe, segmenter: Segmenter, channels: int, make: ViewMaker) -> None:
        super().__init__(recipe, ObserverNet(channels, recipe.width), make)
        # In a tuple, so that neither checkpoints nor optimisers see what is not trained.
        self._segmenter = (segmenter,)

    def setup(self, stage: str) -> None:
        """Takes the segmenter to where the training runs."""
        self._segmenter[0].to(self.trainer.strategy.root_device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Computes the binary cross-entropy of being wrong (Besnier et al., Eq. 2)."""
        images, labels = batch[0].float() / 255, batch[1]
        segmenter = self._segmenter[0]
        if self.recipe.strength and isinstance(segmenter, StreetNet):
            where = attacked_places(len(images), (images.shape[-2], images.shape[-1]), self.global_step)
            images = attacked(segmenter, images, where.to(images.device), self.recipe.strength)
        with torch.no_grad():
            found = segmenter.segment(images)
        if found.features is None:
            raise RuntimeError("the observer is only trained beside segmenters that hand out features")
        # Made in inference mode; a clone takes part in the graph.
        odds = self.network(images, found.features.clone().float())
        full = resize(odds[:, None].float(), labels.shape[-2:])[:, 0]
        predicted = resize(found.logits.clone().float(), labels.shape[-2:]).argmax(1)
        known = (labels != IGNORE).float()
        wrong = (predicted != labels).float()
        loss = F.binary_cross_entropy_with_logits(full, wrong, known, reduction="sum")
        loss = loss / known.sum().clamp_min(1)
        self.log("train/loss", loss.detach())
        return loss


def attacked_places(count: int, size: tuple[int, int], seed: int) -> Tensor:
    """Chooses an ellipse in every image: bool `[count, H, W]`, a tenth to half of each side wide."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    found = []
    for _ in range(count):
        radius = rng.uniform(0.1, 0.5, 2) * size / 2
        centre = rng.uniform(0, size)
        found.append(((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 <= 1)
    return torch.from_numpy(np.stack(found))


def attacked(segmenter: StreetNet, images: Tensor, where: Tensor, strength: float) -> Tensor:
    """Changes images so that the segmenter doubts its own prediction, in places.

    Args:
        segmenter: The segmenter; its weights stay as they are.
        images: Float `[B, 3, H, W]` in 0..1, H and W multiples of 32.
        where: Bool `[B, H, W]`.
        strength: Most that a colour is changed, 0..1.

    Returns:
        Images, float `[B, 3, H, W]` in 0..1, that need no gradient.
    """
    with torch.enable_grad():
        given = images.detach().clone().requires_grad_(True)
        logits = segmenter(given)[0].float()
        doubt = F.cross_entropy(logits, logits.detach().argmax(1))
        (slope,) = torch.autograd.grad(doubt, given)
    return (images + strength * slope.sign() * where[:, None]).clamp(0, 1).detach()


def train_observer(
    recipe: ObserverRecipe,
    views: FoldRecipe,
    segmenter: Segmenter,
    images: Sequence[Labelled],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> ObserverNet:
    """Trains the observer beside a segmenter that hands out features.

    Args:
        recipe: The settings.
        views: Says which views of the images the samples are.
        segmenter: The segmenter under test.
        images: To learn on: those that the segmenter learned on.
        out: Folder of this run: checkpoint, `observer.safetensors`, `metrics.json`.
        resume: Go on from the last checkpoint.
        progress: Told after every step.

    Raises:
        ConfigError: The segmenter gives no features.
    """
    probe = segmenter.segment(torch.zeros(1, 3, *views.size)).features
    if probe is None:
        raise ConfigError(
            f"an observer reads features and {segmenter.name} gives none: choose one that does, such as "
            "street"
        )
    seen = views.model_dump(mode="json", include={"size", "zoom", "light"})
    fixed = recipe.model_dump(mode="json", exclude={"max_steps", *MACHINE})
    resume = resume and goes_on(out, [fixed, seen, hash_part(segmenter)])
    make, channels = ViewMaker(images, views, recipe.seed + _SAMPLES), probe.shape[1]
    done = run_training(
        recipe, lambda: ObserverModule(recipe, segmenter, channels, make), out, resume, progress
    )
    segmenter.to("cpu")
    save_trained(out, "observer", done.network, recipe, done.validation, hours=done.hours)
    network: ObserverNet = load_trained(out, "observer", ObserverNet)
    return network
