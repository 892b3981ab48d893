"""Autoencoder: what a network that knows ordinary images cannot paint again is likely segmented wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor, full_logits
from oodseg.failures.spade import working_size
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter


class ImageAutoencoder(ModulePart, Learned):
    """Squeezes images through few channels and paints them again, without connections past them.

    Args:
        widths: Channels at strides 2, 4, 8, ...; the decoder mirrors them.
        latent: Channels at the deepest stride.
        short_side: Short side in pixels of the images it looks at.

    Raises:
        ConfigError: No width, or a short side that the widths do not divide.
    """

    name = "image_autoencoder"

    def __init__(
        self, widths: Sequence[int] = (16, 32, 64, 64), latent: int = 16, short_side: int = 96
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        if not widths or short_side < self.multiple or short_side % self.multiple:
            raise ConfigError(
                f"an autoencoder's short side must be a multiple of {self.multiple} with {len(widths)} "
                f"widths, not {short_side}"
            )
        self.widths, self.latent, self.short_side = tuple(widths), latent, short_side
        down = [conv_norm_relu(inside, outside, stride=2) for inside, outside in pairwise([3, *widths])]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], latent, 1))
        up: list[nn.Module] = []
        for inside, outside in pairwise([latent, *reversed(widths)]):
            up += [conv_norm_relu(inside, outside), nn.Upsample(scale_factor=2, mode="nearest")]
        self.decoder = nn.Sequential(*up, nn.Conv2d(widths[0], 3, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Paints images `[B, 3, H, W]` in 0..1 again, in 0..1; H and W are multiples of `multiple`."""
        return self.decoder(self.encoder(4 * images - 2)).float().sigmoid()  # type: ignore[no-any-return]


class Autoencoder(SegmenterAssessor, Learned):
    """Scores by how far an image is from what an autoencoder of ordinary images makes of it.

    C. Baur, B. Wiestler, S. Albarqouni, N. Navab, "Deep Autoencoding Models for Unsupervised Anomaly
    Segmentation in Brain MR Images", 2018, arXiv 1804.04488; the baseline "AE" of SynthCP (Xia et al., ECCV
    2020). The prediction is not looked at.

    Args:
        segmenter: The segmenter under test.
        autoencoder: Learned from images like those on which the segmenter is right.
        calibration: See `SegmenterAssessor`.
    """

    name = "autoencoder"
    subparts: ClassVar = {**SegmenterAssessor.subparts, "autoencoder": ImageAutoencoder}

    def __init__(
        self, segmenter: Segmenter, autoencoder: ImageAutoencoder, calibration: Calibration | None = None
    ) -> None:
        super().__init__(segmenter, calibration)
        self.autoencoder = autoencoder
        self.eval()

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        size = (image.shape[-2], image.shape[-1])
        predicted = full_logits(self.segmentation(image, labels), size).argmax(1)[0]
        network = self.autoencoder
        side = working_size(*size, network.short_side, network.multiple)
        taken = resize(image[None].float(), side, antialias=side[0] < size[0])
        made = network(taken)
        # In logarithms, which calibration by a logistic regression takes better than a bare difference.
        distance = (taken - made).abs().mean(1, keepdim=True)
        return Measurement(predicted, torch.log(resize(distance, size)[0, 0].clamp_min(1e-4)), None, made[0])
