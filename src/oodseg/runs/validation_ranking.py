"""A Lightning callback: which validation images the network in training is likely wrong on, and where."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from oodseg.core.parts import Segmenter
from oodseg.runs.judgements import judge
from oodseg.runs.judging import JudgeRun


class RankValidationImages(Callback):  # type: ignore[misc]
    """Judges the validation images after a validation, and ranks them, the one most worth a look first.

    Every ranking is a folder `step_NNNNNN` in `out` with what `oodseg failures` writes. No label is read. The
    mean of the estimated means is logged as `failures/estimated_mean`, the lowest as `failures/lowest`.

    Args:
        images: The validation images: a folder, or a list of files or of pairs of a name and an image; what
            `oodseg.judge` takes, as often as one asks.
        segmenter: Makes a segmenter of the module in training, such as
            `lambda module: CallableSegmenter(module.network, classes=[...])`.
        out: Folder for the rankings.
        detector: Failure detector that takes any segmenter, such as `"msp"` or `"entropy"`; see
            `oodseg.judge`.
        every: Validations from one ranking to the next.

    Attributes:
        last: The last ranking; None before the first.

    Raises:
        ValueError: `every` below 1.
    """

    def __init__(
        self,
        images: Any,
        segmenter: Callable[[LightningModule], Segmenter],
        out: str | os.PathLike[str],
        detector: str = "msp",
        every: int = 1,
    ) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every counts validations from 1, not {every}")
        self.images, self.segmenter, self.out = images, segmenter, Path(out)
        self.detector, self.every = detector, every
        self.last: JudgeRun | None = None
        self._validations = 0

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks the images, unless this is Lightning's check before the training, or not yet time."""
        if trainer.sanity_checking:
            return
        self._validations += 1
        if self._validations % self.every or not trainer.is_global_zero:
            return
        learning = [each for each in pl_module.parameters() if each.requires_grad]
        try:
            self.last = judge(
                self.images,
                self.detector,
                self.out / f"step_{trainer.global_step:06d}",
                segmenter=self.segmenter(pl_module),
                device=pl_module.device.type,
                fresh=True,
            )
        finally:  # segmenters freeze their networks, and this one has to learn on
            for each in learning:
                each.requires_grad_(True)
        means = [each.record.mean for each in self.last.listed.entries if each.record.mean is not None]
        if means:
            pl_module.log("failures/estimated_mean", fmean(means), rank_zero_only=True)
            pl_module.log("failures/lowest", min(means), rank_zero_only=True)
