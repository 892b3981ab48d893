"""VAE alarm: a prediction whose shape no correct label map has is likely wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor, full_logits, label_log_odds
from oodseg.failures.spade import one_hot
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter


class ShapeVAE(ModulePart, Learned):
    """A variational autoencoder of label maps (Kingma & Welling, ICLR 2014).

    Args:
        classes: Number of classes C.
        side: Height and width at which it looks at label maps, whatever their proportions.
        widths: Channels of the encoder at strides 2, 4, 8, ...; the decoder mirrors them.
        latent: Numbers that a label map is squeezed into.

    Raises:
        ConfigError: No class or width, or a side that the widths do not divide.
    """

    name = "shape_vae"

    def __init__(
        self, classes: int, side: int = 64, widths: Sequence[int] = (16, 32, 48, 64), latent: int = 32
    ) -> None:
        super().__init__()
        if classes < 1 or not widths or side % 2 ** len(widths) or side < 2 ** len(widths):
            raise ConfigError(
                f"a shape VAE needs a class, a width, and a side that is a multiple of {2 ** len(widths)} "
                f"with {len(widths)} widths, not {side}"
            )
        self.classes, self.side, self.widths, self.latent = classes, side, tuple(widths), latent
        self._deepest = (widths[-1], side // 2 ** len(widths), side // 2 ** len(widths))
        flat = self._deepest[0] * self._deepest[1] * self._deepest[2]
        down: list[nn.Module] = []
        for inside, outside in pairwise([classes, *widths]):
            down += [nn.Conv2d(inside, outside, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.mean, self.log_variance = nn.Linear(flat, latent), nn.Linear(flat, latent)
        self.raise_latent = nn.Linear(latent, flat)
        up: list[nn.Module] = []
        for inside, outside in pairwise([*reversed(widths), classes]):
            up += [nn.LeakyReLU(0.2), nn.ConvTranspose2d(inside, outside, 4, 2, 1)]
        self.decoder = nn.Sequential(*up)

    def encode(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Squeezes label maps `[B, C, side, side]` to mean and log-variance, `[B, latent]` each."""
        features = self.encoder(planes)
        return self.mean(features), self.log_variance(features)

    def decode(self, latent: Tensor) -> Tensor:
        """Unfolds `[B, latent]` to logits `[B, C, side, side]`."""
        raised = self.raise_latent(latent).view(-1, *self._deepest)
        return self.decoder(raised)  # type: ignore[no-any-return]

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructs label maps through a random draw, as training needs it.

        Args:
            planes: Float `[B, C, side, side]` of `one_hot`.

        Returns:
            Logits `[B, C, side, side]`, mean and log-variance of the latent, `[B, latent]` each.
        """
        mean, log_variance = self.encode(planes)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decode(drawn), mean, log_variance


class VAEAlarm(SegmenterAssessor, Learned):
    """Reconstructs the prediction with a VAE that knows correct label maps alone.

    What cannot be reconstructed is no shape that a structure has. A class's quality is the Dice of prediction
    and reconstruction ("fake Dice"), which the calibration brings to the true one by a line; the error of a
    pixel goes with how unlikely its class is in the reconstruction. The image is not looked at.
    F. Liu, Y. Xia, D. Yang, A. Yuille, D. Xu, "An Alarm System for Segmentation Algorithm Based on Shape
    Model", ICCV 2019, arXiv 1903.10645; the strongest baseline of SynthCP on volumes.

    Args:
        segmenter: The segmenter under test, or `GivenLabels`.
        vae: Learned from true label maps of that segmenter's classes.
        calibration: See `SegmenterAssessor`.

    Raises:
        ConfigError: The two differ in the number of classes.
    """

    name = "vae_alarm"
    subparts: ClassVar = {**SegmenterAssessor.subparts, "vae": ShapeVAE}

    def __init__(self, segmenter: Segmenter, vae: ShapeVAE, calibration: Calibration | None = None) -> None:
        super().__init__(segmenter, calibration)
        self.vae = vae
        if vae.classes != len(self.classes):
            raise ConfigError(
                f"the segmenter {segmenter.name} has {len(self.classes)} classes and the VAE {vae.classes}: "
                "train the VAE on this segmenter's classes"
            )
        self.eval()

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        size = (image.shape[-2], image.shape[-1])
        predicted = full_logits(self.segmentation(image, labels), size).argmax(1)
        planes = squeezed(predicted, self.vae.side, self.vae.classes)
        logits = self.vae.decode(self.vae.encode(planes)[0])
        dice = overlap(planes, one_hot(logits.argmax(1), self.vae.classes))[0]
        return Measurement(predicted[0], label_log_odds(resize(logits, size), predicted)[0], dice)


def squeezed(labels: Tensor, side: int, classes: int) -> Tensor:
    """Brings label maps to a square: integers `[B, H, W]` to float `[B, C, side, side]` of zeros and ones."""
    small = F.interpolate(labels[:, None].float(), (side, side), mode="nearest-exact")[:, 0]
    return one_hot(small, classes)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Computes the Dice by class of two soft label maps `[B, C, H, W]`: `[B, C]`, 1 where both lack one."""
    both = (one * other).sum((2, 3))
    total = (one.square() + other.square()).sum((2, 3))
    return (2 * both + 1e-6) / (total + 1e-6)
