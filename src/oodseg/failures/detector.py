"""Shared by all failure detectors: a segmenter under test, a measurement, and its calibration."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.devices import half_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Assessment, Judge
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.calibration import Calibration
from oodseg.failures.void import fill_void, void_in
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmentation, Segmenter
from oodseg.segmenters.given import GivenLabels


@dataclass(frozen=True)
class Measurement:
    """Holds what a detector measures on one image, before calibration.

    Attributes:
        labels: Integers `[H, W]`: the prediction.
        score: Float `[H, W]`: log-odds of being wrong, or any score that grows with them.
        quality: Float `[C]` in 0..1 of every class; None for the mean confidence under each class.
        resynthesis: Float `[3, h, w]` in 0..1, or None.
    """

    labels: Tensor
    score: Tensor
    quality: Tensor | None = None
    resynthesis: Tensor | None = None


class SegmenterAssessor(ModulePart, Judge):
    """A failure detector around a segmenter; subclasses implement `measure`.

    Args:
        segmenter: The segmenter under test; `GivenLabels` for a judge of labels that are made elsewhere.
        calibration: Fits of `oodseg.failures.calibration`.

    Attributes:
        knows_void: Whether `measure` leaves out pixels labelled 255; else they are given to it with the label
            of the nearest pixel that has one.
    """

    name = ""
    knows_void: ClassVar[bool] = False
    subparts: ClassVar = {"segmenter": "segmenters", "calibration": Calibration}

    def __init__(
        self,
        segmenter: Segmenter,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.classes = tuple(self.segmenter.classes)
        self.calibration = calibration or Calibration()
        self.eval()

    @abstractmethod
    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """Measures one image; takes what `assess` takes."""

    def segmentation(self, image: Tensor, labels: Tensor | None) -> Segmentation:
        """Segments the image to judge, in a batch of one; takes what `assess` takes.

        Raises:
            ConfigError: Labels are missing, or handed to a judge of a segmenter of its own.
        """
        if labels is None:
            with half_autocast(image.device):
                return self.segmenter.segment(image[None]).float()
        if not isinstance(self.segmenter, GivenLabels):
            raise ConfigError(
                f"this failure detector judges {self.segmenter.name}, no labels from elsewhere: "
                "take one that was trained to judge such labels"
            )
        return self.segmenter.segmentation_of(labels.to(image.device), (image.shape[-2], image.shape[-1]))

    def features_of(self, segmentation: Segmentation) -> Tensor:
        """Returns the features behind a segmentation, float32.

        Raises:
            ConfigError: The segmenter gives none.
        """
        if segmentation.features is None:
            raise ConfigError(
                f"{self.name} reads a segmenter's features and {self.segmenter.name} gives none: choose msp"
            )
        return segmentation.features.float()

    @torch.inference_mode()
    def assess(self, image: Tensor, labels: Tensor | None = None) -> Assessment:
        """Assesses one image; see `Judge.assess`."""
        void = None if labels is None else void_in(labels, len(self.classes))
        if labels is not None and void is not None and not self.knows_void:
            labels = fill_void(labels, void)
        found = self.measure(image, labels)
        predicted = found.labels.cpu().numpy().astype(np.uint8)
        error = self.calibration.error(found.score.float().cpu().numpy())
        if void is not None:
            nowhere = void.cpu().numpy()
            predicted[nowhere], error[nowhere] = IGNORE, 0.0
        quality = self.calibration.quality(self.class_measure(found, predicted))
        assessed = Assessment(
            labels=predicted,
            error=error,
            resynthesis=_as_image(found.resynthesis, predicted.shape),
            class_quality=quality,
            mean_quality=self.calibration.mean_quality(quality),
        )
        return self.with_interval(assessed)

    def class_measure(
        self, found: Measurement, predicted: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float64]:
        """Returns the measured quality of every class: float `[C]`, NaN where a class is not predicted.

        Args:
            found: What was measured.
            predicted: uint8 `[H, W]`: the labels, 255 at pixels that do not count; None if all do.
        """
        count = len(self.classes)
        flat = found.labels.flatten().long().cpu()
        counts = torch.ones(flat.shape, dtype=torch.float64)
        if predicted is not None and count <= IGNORE:
            counts = torch.from_numpy(predicted != IGNORE).flatten().double()
        pixels = torch.bincount(flat, counts, minlength=count)[:count]
        if found.quality is not None:
            values = found.quality.double()
        else:
            right = torch.from_numpy(1 - self.calibration.error(found.score.float().cpu().numpy()))
            sums = torch.zeros(count, dtype=torch.float64)
            values = sums.index_add(0, flat, counts * right.flatten().double()) / pixels
        values, pixels = values.cpu(), pixels.cpu()
        return torch.where(pixels > 0, values, torch.nan).numpy()


def check_members(members: Sequence[Segmenter], classes: tuple[str, ...], judged: str) -> None:
    """Checks that segmenters which are asked beside the judged one know the same classes in the same order.

    Args:
        members: The segmenters.
        classes: Names of the classes that are judged.
        judged: What the error calls whose these are.

    Raises:
        ConfigError: One knows others.
    """
    for each in members:
        if tuple(each.classes) != classes:
            raise ConfigError(
                f"the member {each.name} knows the classes {', '.join(each.classes)}, {judged} "
                f"{', '.join(classes)}: take members of the same classes"
            )


def full_logits(segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
    """Returns logits `[B, C, H, W]` at the image's own size, float32."""
    return resize(segmentation.logits.float(), size)


def msp_log_odds(logits: Tensor) -> Tensor:
    """Log-odds of the predicted class being wrong, `log((1 - p) / p)` with p its softmax probability.

    Args:
        logits: Float `[B, C, H, W]`.

    Returns:
        Float `[B, H, W]`.
    """
    return label_log_odds(logits, logits.argmax(1))


def label_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds of labels being wrong, `log((1 - p) / p)` with p their softmax probability.

    Exact where p is so near to 1 that `1 - p` would be rounded to zero.

    Args:
        logits: Float `[B, C, H, W]`.
        labels: Integers `[B, H, W]`, indices into the C classes.

    Returns:
        Float `[B, H, W]`.
    """
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return torch.logsumexp(others, 1) - own[:, 0]


def _as_image(resynthesis: Tensor | None, size: tuple[int, ...]) -> NDArray[np.uint8] | None:
    if resynthesis is None:
        return None
    full = resize(resynthesis[None].float(), size[:2])[0]
    return (full * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
