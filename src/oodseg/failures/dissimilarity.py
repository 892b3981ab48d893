"""Image beside re-synthesis, labels and uncertainty: which pixels the re-synthesis cannot explain.

After the dissimilarity network of SynBoost (Di Biase et al., CVPR 2021, arXiv 2103.05445, Sec. 3): one
encoder for the image and its re-synthesis, one for the labels, one for three maps of uncertainty that weigh
what the first two see; the products of image and re-synthesis stand for their correlation. What differs:
narrow encoders that start from nothing in place of a pretrained VGG-16, and no SPADE layers in the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.nn.tensors import resize

WIDTHS = (16, 24, 32, 48)
PRIORS = 3  # entropy, perceptual difference, softmax distance


class Dissimilarity(nn.Module):
    """Compares an image with its re-synthesis.

    Args:
        classes: Number of classes C.
        widths: Channels at strides 1, 2, 4, ...
    """

    def __init__(self, classes: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.images = _encoder(3, widths)
        self.labels = _encoder(classes, widths)
        self.priors = _encoder(PRIORS, widths)
        self.join = nn.ModuleList(nn.Conv2d(3 * width, width, 1) for width in widths)
        below = [0, *reversed(widths[1:])]
        self.decode = nn.ModuleList(
            nn.Sequential(_conv_selu(width + 1 + coarse, width), _conv_selu(width, width))
            for width, coarse in zip(reversed(widths), below, strict=True)
        )
        self.told = nn.Conv2d(widths[0], 2, 1)

    def forward(self, images: Tensor, resynthesis: Tensor, labels: Tensor, priors: Tensor) -> Tensor:
        """Compares a batch.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, sides multiples of the coarsest stride.
            resynthesis: Float `[B, 3, H, W]` likewise.
            labels: Float `[B, C, H, W]`, one-hot.
            priors: Float `[B, 3, H, W]` in about 0..1: entropy, perceptual difference, softmax distance.

        Returns:
            Logits of being explained and of being not, `[B, 2, H, W]`.
        """
        taken, made = (_levels(self.images, 4 * each - 2) for each in (images, resynthesis))
        said, unsure = _levels(self.labels, labels), _levels(self.priors, priors)
        x: Tensor | None = None
        stages = zip(taken, made, said, unsure, self.join, strict=True)
        for (one, other, classes, weight, join), decode in zip(
            reversed(list(stages)), self.decode, strict=True
        ):
            correlation = (one * other).mean(1, keepdim=True)
            level = torch.cat([join(torch.cat([one, other, classes], 1)) * weight, correlation], 1)
            if x is not None:
                level = torch.cat([level, resize(x, level.shape[-2:])], 1)
            x = decode(level)
        assert x is not None  # there is at least one width
        logits: Tensor = self.told(x)
        return logits


def _encoder(inside: int, widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(_conv_selu(before, after), _conv_selu(after, after))
        for before, after in pairwise((inside, *widths))
    )


def _levels(encoder: nn.ModuleList, x: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    for stage in encoder:
        found.append(stage(F.max_pool2d(found[-1], 2) if found else x))
    return found


def _conv_selu(inside: int, outside: int) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, 3, padding=1)
    # What self-normalising units start from (Klambauer et al., NeurIPS 2017).
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.SELU())
