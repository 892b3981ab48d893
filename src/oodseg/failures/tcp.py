"""ConfidNet: a small head that learns the true class's probability."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor, full_logits
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter


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
            ConfigError: The segmenter gives no features.
        """
        size = (image.shape[-2], image.shape[-1])
        segmentation = self.segmentation(image, labels)
        estimate = self.head(self.features_of(segmentation))[:, None]
        predicted = full_logits(segmentation, size).argmax(1)[0]
        return Measurement(predicted, -resize(estimate.float(), size)[0, 0])
