"""The two kinds of encoder that a comparator looks through."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.nn.blocks import conv_norm, conv_norm_relu
from oodseg.nn.encoders import ENCODER_MEAN, ENCODER_STD, build_encoder


class _Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        same = stride == 1 and inside == outside
        self.beside: nn.Module = nn.Identity() if same else conv_norm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.beside(x) + self.second_norm(self.second(inner)))


class Encoder(nn.Module):
    """Encodes an image and a plane of the class probabilities to features at strides 2, 4, 8, ...

    Args:
        classes: Number of classes C.
        widths: Channels at these strides.
    """

    def __init__(self, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.project = nn.Conv2d(classes, 1, 1)
        self.stem = conv_norm_relu(4, widths[0], 5, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(_Residual(inside, outside, 2), _Residual(outside, outside, 1))
            for inside, outside in pairwise(widths)
        )

    def forward(self, image: Tensor, probabilities: Tensor) -> list[Tensor]:
        """Encodes image `[B, 3, H, W]` in 0..1 and probabilities `[B, C, H, W]`, finest features first."""
        x = torch.cat([4 * image - 2, self.project(probabilities)], 1)
        found = [self.stem(x.contiguous(memory_format=torch.channels_last))]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found


class PretrainedEncoder(nn.Module):
    """Does the same with an encoder by timm's name, to whose colours the class probabilities are added.

    Args:
        classes: Number of classes C.
        backbone: timm name; see `oodseg.nn.encoders.build_encoder`.
    """

    def __init__(self, classes: int, backbone: str) -> None:
        super().__init__()
        self.encoder: Any = build_encoder(backbone)
        self.widths: tuple[int, ...] = tuple(self.encoder.feature_info.channels())
        self.project = nn.Conv2d(classes, 3, 1)
        # At first it sees the image as it was taught to.
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Switches the mode; the pretrained encoder's batch statistics are never trained."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, image: Tensor, probabilities: Tensor) -> list[Tensor]:
        """Encodes image `[B, 3, H, W]` in 0..1 and probabilities `[B, C, H, W]`, finest features first."""
        x = (image - ENCODER_MEAN) / ENCODER_STD + self.project(probabilities)
        return list(self.encoder(x.contiguous(memory_format=torch.channels_last)))
