"""Detectors of which one module was trained while a segmenter stayed as it was."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Detector, Learned, Segmenter, no_features
from oodseg.nn.smoothing import gaussian_blur
from oodseg.nn.tensors import resize_scores


@dataclass(frozen=True)
class Seen:
    """Holds the outputs of the frozen segmenter for a batch.

    Attributes:
        logits: Float `[B, C, h, w]` of its classes.
    """

    logits: Tensor


SeenT = TypeVar("SeenT", bound=Seen)


class TaughtDetector(ModulePart, Detector, Learned, Generic[SeenT]):
    """A detector of which one module is trained, the head, while a segmenter stays as it is.

    Args:
        smooth: Standard deviation in pixels of a Gaussian over the score, 0 for none.

    Attributes:
        segmenter: What stays.
        head: What is trained.
        keeps_classes: Whether the segmenter's classes remain those of the detector; otherwise they are the
            first C of the logits of `read`.

    Raises:
        ConfigError: A smoothing below 0.
    """

    segmenter: Segmenter
    head: nn.Module
    keeps_classes: ClassVar[bool] = False

    def __init__(self, smooth: float) -> None:
        super().__init__()
        if not smooth >= 0:
            raise ConfigError(f"smooth must be a standard deviation in pixels, not {smooth}")
        self.smooth = smooth

    @abstractmethod
    def see(self, images: Tensor) -> SeenT:
        """Runs all that is frozen on float `[B, 3, H, W]`, RGB in 0..1, without gradients."""

    @abstractmethod
    def read(self, seen: SeenT) -> Tensor:
        """Runs the head, with gradients: logits `[B, K, h, w]`, float32."""

    @abstractmethod
    def judge(self, seen: SeenT) -> Tensor:
        """Scores what was seen: float32 `[B, h, w]`, covering the images."""

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        scores = resize_scores(self.judge(self.see(images)), images.shape[-2:])
        return gaussian_blur(scores, self.smooth, mirror=True) if self.smooth else scores


def features_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    """Runs a segmenter and copies its features, so that gradients can start from them.

    Args:
        segmenter: The segmenter.
        images: Float `[B, 3, H, W]`, sides multiples of 32.

    Raises:
        ConfigError: It gives no features.
    """
    features = segmenter.segment(images).features
    if features is None:
        raise no_features(segmenter)
    return features.clone().float()
