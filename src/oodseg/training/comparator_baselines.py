"""Fits SynthCP's baselines on the same images: TCP's head, and the calibration of all detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from oodseg.core.fingerprint import hash_part
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.baselines import TCPHead
from oodseg.failures.calibration import Calibration, fit_classes, fit_pixels, fit_presence
from oodseg.failures.detector import Measurement, SegmenterAssessor
from oodseg.io.images import to_tensor
from oodseg.metrics.failure import image_dice, image_iou
from oodseg.segmenters import Segmenter
from oodseg.training.common import last_checkpoint, make_trainer, stream_loader, warmup_constant_decay
from oodseg.training.comparator_segmenter import FoldRecipe, goes_on
from oodseg.training.labelled import Labelled, ViewMaker

LabelledT = TypeVar("LabelledT", bound=Labelled)
_EVERY = 3  # of the pixels in each direction: neighbours say the same


class TCPModule(LightningModule):  # type: ignore[misc]
    """Lightning's view of the training of TCP's head; the segmenter stays as it is."""

    def __init__(self, recipe: FoldRecipe, segmenter: Segmenter, channels: int, make: ViewMaker) -> None:
        super().__init__()
        self.recipe, self._make, self._segmenter = recipe, make, (segmenter,)
        self.network = TCPHead(channels)

    def setup(self, stage: str) -> None:
        """Takes the segmenter to where the training runs."""
        self._segmenter[0].to(self.trainer.strategy.root_device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Mean squared error of the true class's probability (ConfidNet, Eq. 4)."""
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
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless views, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step * self.recipe.batch_size
        return stream_loader(self._make, self.recipe.batch_size, start, self.recipe.workers)

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam; warm-up, constant rate, linear decay."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        schedule = warmup_constant_decay(optimizer, 20, self.trainer.max_steps, 0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train_tcp(
    recipe: FoldRecipe,
    steps: int,
    segmenter: Segmenter,
    images: Sequence[Labelled],
    out: Path,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
) -> TCPHead:
    """Trains TCP's head on a segmenter that hands out features.

    Args:
        recipe: How samples are made.
        steps: Optimiser steps.
        segmenter: The segmenter under test.
        images: To learn on: those that the segmenter learned on, as ConfidNet does.
        out: Folder of this run.
        seed: Seeds weights and samples.
        resume: Go on from the last checkpoint.
        progress: Show a progress bar.
    """
    probe = segmenter.segment(torch.zeros(1, 3, *recipe.size)).features
    if probe is None:
        raise RuntimeError("the head is only trained on segmenters that hand out features")
    settings = [recipe.model_dump(), seed, hash_part(segmenter)]
    resume = resume and goes_on(out, settings)
    trainer = make_trainer(out, steps, seed=seed, precision=recipe.precision, progress=progress)
    module = TCPModule(recipe, segmenter, probe.shape[1], ViewMaker(images, recipe, seed + 77))
    trainer.fit(module, ckpt_path=last_checkpoint(out, resume))
    segmenter.to("cpu")
    return module.network.cpu().eval().requires_grad_(False)


def calibrate(
    detector: SegmenterAssessor,
    images: Sequence[LabelledT],
    dice: bool = False,
    progress: bool = True,
    labels_of: Callable[[LabelledT, Tensor], Tensor] | None = None,
) -> None:
    """Fits a detector's calibration on labelled images that nothing was trained on, in place.

    Args:
        detector: The detector; its old calibration is forgotten.
        images: Labelled images.
        dice: Qualities are Dice instead of IoU.
        progress: Show a progress bar.
        labels_of: The labels to judge, of an image and its tensor `[3, H, W]`; None for those of the
            detector's own segmenter.
    """
    measure = image_dice if dice else image_iou
    found: list[Measurement] = []
    scores: list[NDArray[np.float32]] = []
    wrong: list[NDArray[np.bool_]] = []
    true: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        for each in track(list(images), f"calibrating {detector.name}", disable=not progress):
            image, truth = each.read()
            pixels = to_tensor(image)
            one = detector.measure(pixels, None if labels_of is None else labels_of(each, pixels))
            labels = one.labels.cpu().numpy().astype(np.uint8)
            judged = truth[::_EVERY, ::_EVERY] != IGNORE
            scores.append(one.score[::_EVERY, ::_EVERY].float().cpu().numpy()[judged])
            wrong.append((labels != truth)[::_EVERY, ::_EVERY][judged])
            true.append(measure(labels, truth, len(detector.classes)))
            # Only what is needed again: 200 images of everything would fill the memory.
            found.append(replace(one, labels=one.labels.byte(), resynthesis=None))
    slope, offset = fit_pixels(np.concatenate(scores), np.concatenate(wrong))
    detector.calibration = Calibration(slope, offset)
    measured = np.stack([detector.class_measure(one) for one in found])
    qualities = np.stack(true)
    presence = fit_presence(~np.isnan(measured), ~np.isnan(qualities))
    detector.calibration = Calibration(slope, offset, fit_classes(measured, qualities), presence)


def _centres(count: int, step: float, device: torch.device) -> Tensor:
    """Rows or columns of the full map that lie in the middle of the coarse map's cells."""
    return ((torch.arange(count, device=device) + 0.5) * step).long()
