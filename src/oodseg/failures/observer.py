"""Observer: a network beside the segmenter that learned to foresee its errors."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor, full_logits
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter


class ObserverNet(ModulePart, Learned):
    """Image and the segmenter's features to log-odds of an error.

    Args:
        channels: Channels of the segmenter's features.
        width: Channels of the layers between.
    """

    name = "observer_net"

    def __init__(self, channels: int, width: int = 48) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.eyes = nn.Sequential(
            conv_norm_relu(3, width // 2, stride=2),
            conv_norm_relu(width // 2, width, stride=2),
            conv_norm_relu(width, width),
        )
        self.beside = conv_norm_relu(channels, width, kernel=1)
        self.mix = nn.Sequential(conv_norm_relu(2 * width, width), conv_norm_relu(width, width))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        """Foresees errors.

        Args:
            images: Float `[B, 3, H, W]` in 0..1.
            features: Float `[B, D, h, w]`, covering the images.

        Returns:
            Log-odds, float `[B, ceil(H/4), ceil(W/4)]`.
        """
        seen = self.eyes(4 * images - 2)
        beside = resize(self.beside(features), seen.shape[-2:])
        logits: Tensor = self.head(self.mix(torch.cat([seen, beside], 1)))
        return logits[:, 0]


class Observer(SegmenterAssessor, Learned):
    """Asks a network that learned where the segmenter errs, on images that were attacked to make it err.

    ObsNet: V. Besnier, A. Bursuc, D. Picard, A. Briot, "Triggering Failures: Out-Of-Distribution detection by
    learning from local adversarial attacks in Semantic Segmentation", ICCV 2021, arXiv 2108.01634. What
    differs: a few layers beside the last features in place of a second segmenter beside all of them.

    Args:
        segmenter: One that hands out its features.
        observer: The network.
        calibration: See `SegmenterAssessor`.
    """

    name = "observer"
    subparts: ClassVar = {**SegmenterAssessor.subparts, "observer": ObserverNet}

    def __init__(
        self, segmenter: Segmenter, observer: ObserverNet, calibration: Calibration | None = None
    ) -> None:
        super().__init__(segmenter, calibration)
        self.observer = observer
        self.eval()

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`.

        Raises:
            ConfigError: The segmenter gives no features.
        """
        size = (image.shape[-2], image.shape[-1])
        segmentation = self.segmentation(image, labels)
        odds = self.observer(image[None].float(), self.features_of(segmentation))
        predicted = full_logits(segmentation, size).argmax(1)[0]
        return Measurement(predicted, resize(odds[:, None].float(), size)[0, 0])
