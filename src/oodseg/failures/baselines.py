"""Failure detectors that read the segmenter's own logits and nothing else.

Each measures a score per pixel, higher = more likely wrong; a class's quality is the mean confidence under
it, brought to an IoU by the calibration. Without one the error of `energy` and `max_logit` orders pixels
but is no probability.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from oodseg.failures.detector import (
    Measurement,
    SegmenterAssessor,
    full_logits,
    msp_log_odds,
)
from oodseg.nn.uncertainty import energy, max_logit, softmax_entropy
from oodseg.segmenters.conventions import check_absolute

_TINY = 1e-7


class _OfLogits(SegmenterAssessor):
    absolute: ClassVar[bool] = False  # whether the height of logits decides it, which a softmax takes away

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        segmentation = self.segmentation(image, labels)
        if self.absolute:
            check_absolute(self.name, segmentation, ("msp", "entropy"))
        logits = full_logits(segmentation, (image.shape[-2], image.shape[-1]))
        return Measurement(logits.argmax(1)[0], self.score(logits)[0])

    @abstractmethod
    def score(self, logits: Tensor) -> Tensor:
        """Logits `[B, C, H, W]` to scores `[B, H, W]`."""


class MSP(_OfLogits):
    """One minus the maximum softmax probability (Hendrycks & Gimpel, ICLR 2017)."""

    name = "msp"

    def score(self, logits: Tensor) -> Tensor:
        """Computes the score's log-odds."""
        return msp_log_odds(logits)


class Entropy(_OfLogits):
    """Entropy of the class probabilities over its maximum."""

    name = "entropy"

    def score(self, logits: Tensor) -> Tensor:
        """Computes the score's log-odds."""
        return torch.logit(softmax_entropy(logits), _TINY)


class Energy(_OfLogits):
    """Free energy (Liu et al., NeurIPS 2020)."""

    name = "energy"
    absolute = True

    def score(self, logits: Tensor) -> Tensor:
        """Returns the energy itself."""
        return energy(logits)


class MaxLogit(_OfLogits):
    """Negative maximum logit (Hendrycks et al., ICML 2022)."""

    name = "max_logit"
    absolute = True

    def score(self, logits: Tensor) -> Tensor:
        """Returns the negated logit itself."""
        return max_logit(logits)
