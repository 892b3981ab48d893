"""Baselines of SynthCP: failure detectors that need no re-synthesis.

Each measures a score per pixel, higher = more likely wrong; a class's quality is the mean confidence under
it, brought to an IoU by the calibration. Without one the error of `energy` and `max_logit` orders pixels
but is no probability.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import (
    Measurement,
    SegmenterAssessor,
    full_logits,
    msp_log_odds,
)
from oodseg.nn.tensors import resize
from oodseg.nn.uncertainty import energy, max_logit, softmax_entropy
from oodseg.segmenters import Segmenter
from oodseg.segmenters.street import StreetNet, pad_to_stride

_TINY = 1e-7


class _OfLogits(SegmenterAssessor):
    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        logits = full_logits(self.segmentation(image, labels), (image.shape[-2], image.shape[-1]))
        return Measurement(logits.argmax(1)[0], self.score(logits)[0])

    @abstractmethod
    def score(self, logits: Tensor) -> Tensor:
        """Logits `[B, C, H, W]` to scores `[B, H, W]`."""


class MSP(_OfLogits):
    """One minus the maximum softmax probability (Hendrycks & Gimpel, ICLR 2017)."""

    name = "msp"

    def score(self, logits: Tensor) -> Tensor:
        """Its log-odds."""
        return msp_log_odds(logits)


class Entropy(_OfLogits):
    """Entropy of the class probabilities over its maximum."""

    name = "entropy"

    def score(self, logits: Tensor) -> Tensor:
        """Its log-odds."""
        return torch.logit(softmax_entropy(logits), _TINY)


class Energy(_OfLogits):
    """Free energy (Liu et al., NeurIPS 2020)."""

    name = "energy"

    def score(self, logits: Tensor) -> Tensor:
        """The energy itself."""
        return energy(logits)


class MaxLogit(_OfLogits):
    """Negative maximum logit (Hendrycks et al., ICML 2022)."""

    name = "max_logit"

    def score(self, logits: Tensor) -> Tensor:
        """The negated logit itself."""
        return max_logit(logits)


class MCDropout(SegmenterAssessor):
    """Tests the class probabilities with features dropped at random (Gal & Ghahramani, ICML 2016).

    The error is one minus the mean probability, over all passes, of the class predicted without dropout.

    Args:
        segmenter: A street network, which was trained with dropout before its class layer.
        calibration: See `SegmenterAssessor`.
        passes: How often features are dropped.
        rate: Share of them, 0..1.

    Raises:
        ConfigError: Another segmenter: where to drop is not known of it.
    """

    name = "mc_dropout"

    def __init__(
        self,
        segmenter: Segmenter,
        calibration: Calibration | None = None,
        passes: int = 8,
        rate: float = 0.3,
    ) -> None:
        super().__init__(segmenter, calibration)
        if not isinstance(self.segmenter, StreetNet):
            raise ConfigError(
                f"mc_dropout works on the street network only, not on {self.segmenter.name}: choose msp or "
                "entropy"
            )
        self.passes, self.rate = passes, rate

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`; the same features are dropped every time."""
        network = self.segmenter
        assert isinstance(network, StreetNet)
        if labels is not None:
            raise ConfigError("mc_dropout judges a network, not labels that were made elsewhere")
        height, width = image.shape[-2:]
        padded = pad_to_stride(image[None])
        features = network.features(padded)[2]

        def covering(logits: Tensor) -> Tensor:
            return resize(logits.float(), (padded.shape[-2], padded.shape[-1]))[..., :height, :width]

        predicted = covering(network.class_head(features)).argmax(1)
        chance = torch.Generator().manual_seed(0)
        total = torch.zeros(())
        for _ in range(self.passes):
            kept = (torch.rand(features.shape, generator=chance) >= self.rate).to(features)
            logits = network.class_head(features * kept / (1 - self.rate))
            total = total.to(features) + covering(logits).softmax(1).gather(1, predicted[:, None])[:, 0]
        return Measurement(predicted[0], -torch.logit(total[0] / self.passes, _TINY))


class TCPHead(ModulePart, Learned):
    """Features to the true class's probability (ConfidNet: Corbière et al., NeurIPS 2019).

    Args:
        channels: Channels of the segmenter's features.
        width: Channels of the two layers between.
    """

    name = "tcp_head"

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features `[B, D, h, w]` to logits `[B, h, w]` of the true class's probability."""
        return self.layers(features)[:, 0]  # type: ignore[no-any-return]


class TCP(SegmenterAssessor, Learned):
    """One minus the true class's probability, as a small head on the segmenter's features estimates it.

    Args:
        segmenter: One that hands out its features.
        head: The head.
        calibration: See `SegmenterAssessor`.
    """

    name = "tcp"
    subparts: ClassVar = {**SegmenterAssessor.subparts, "head": TCPHead}

    def __init__(
        self,
        segmenter: Segmenter,
        head: TCPHead,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(segmenter, calibration)
        self.head = head
        self.eval()

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`.

        Raises:
            ConfigError: The segmenter hands out no features.
        """
        size = (image.shape[-2], image.shape[-1])
        segmentation = self.segmentation(image, labels)
        if segmentation.features is None:
            raise ConfigError(
                f"tcp reads a segmenter's features and {self.segmenter.name} hands out none: choose msp"
            )
        estimate = self.head(segmentation.features.float())[:, None]
        predicted = full_logits(segmentation, size).argmax(1)[0]
        return Measurement(predicted, -resize(estimate.float(), size)[0, 0])
