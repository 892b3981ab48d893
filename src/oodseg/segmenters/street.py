"""The bundled compact network: seven street classes and, beside them, objectness.

A U-Net with residual blocks after Ronneberger et al. (MICCAI 2015) and He et al. (CVPR 2016); the
deepest stage is dilated and sees a pooled summary of the whole image. Both heads share everything
but their last layers: the classes say what is known, objectness says that something is a thing and not
one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned, Segmentation, Segmenter
from oodseg.core.taxonomy import CLASSES
from oodseg.nn.blocks import Residual, conv_norm_relu
from oodseg.nn.encoders import ENCODER_MEAN, ENCODER_STD, build_encoder
from oodseg.nn.tensors import resize

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.26, 0.26, 0.26)
STRIDE = 32


class _Up(nn.Module):
    """Doubles the resolution and takes in the encoder's stage of that resolution."""

    def __init__(self, below: int, beside: int, width: int) -> None:
        super().__init__()
        self.narrow = conv_norm_relu(below, width, kernel=1)
        self.beside = conv_norm_relu(beside, width, kernel=1)
        self.mix = conv_norm_relu(width, width)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        raised = resize(self.narrow(below), beside.shape[-2:])
        return self.mix(raised + self.beside(beside))  # type: ignore[no-any-return]


class StreetNet(ModulePart, Segmenter, Learned):
    """Image to class logits and an objectness logit.

    Args:
        widths: Channels at strides 2, 4, 8, 16 and 32.
        depths: Residual blocks at strides 4, 8, 16 and 32.
        objectness: Whether there is an objectness head.
        classes: Names of the C classes; None for the seven of `oodseg.core.taxonomy`.
        backbone: timm name of a pretrained encoder in place of the stages of its own; `widths` are then those
            of the decoder at strides 2, 4, 8 and 16, and there are no `depths`. Its batch statistics stay
            what they are.
    """

    name = "street"

    def __init__(
        self,
        widths: Sequence[int] = (24, 48, 96, 144, 192),
        depths: Sequence[int] = (1, 2, 2, 2),
        objectness: bool = True,
        classes: Sequence[str] | None = None,
        backbone: str | None = None,
    ) -> None:
        super().__init__()
        self.widths, self.depths, self.objectness = tuple(widths), tuple(depths), objectness
        self.classes, self.backbone = tuple(classes or CLASSES), backbone
        self.encoder: Any = None
        if backbone is not None:
            self._build_on(backbone)
            return
        if len(widths) != 5 or len(depths) != 4:
            raise ConfigError("the street network takes five widths and four depths; see its recipe")
        self.stem = nn.Sequential(
            conv_norm_relu(3, widths[0], stride=2), conv_norm_relu(widths[0], widths[0])
        )
        self.stages = nn.ModuleList()
        for index, depth in enumerate(depths):
            dilations = [1, 2, 4][:depth] if index == 3 else [1] * depth
            blocks = [
                Residual(widths[index + 1], widths[index + 1], dilation=dilation) for dilation in dilations
            ]
            self.stages.append(
                nn.Sequential(conv_norm_relu(widths[index], widths[index + 1], stride=2), *blocks)
            )
        self.context = conv_norm_relu(widths[4], widths[4], kernel=1)
        self.ups = nn.ModuleList(_Up(widths[index + 1], widths[index], widths[index]) for index in (3, 2, 1))
        self.class_head = nn.Conv2d(widths[1], len(self.classes), 1)
        self.fine = _Up(widths[1], widths[0], widths[0]) if objectness else None
        self.object_head = nn.Conv2d(widths[0], 1, 1) if objectness else None
        if self.object_head is not None:
            nn.init.constant_(self.object_head.bias, -2.0)  # type: ignore[arg-type]  # objects are rare

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; on a pretrained encoder there are no depths."""
        found = super().arguments()
        if self.backbone is not None:
            del found["depths"]
        return found

    def _build_on(self, backbone: str) -> None:
        """Builds the decoder on a pretrained encoder."""
        widths, objectness = self.widths, self.objectness
        if len(widths) != 4:
            raise ConfigError("a decoder on a pretrained encoder takes four widths; see its recipe")
        self.encoder = build_encoder(backbone).eval()  # see `train`
        inside = self.encoder.feature_info.channels()
        self.context = conv_norm_relu(inside[4], inside[4], kernel=1)
        below = [inside[4], widths[3], widths[2]]
        self.ups = nn.ModuleList(
            _Up(coarse, inside[level], widths[level]) for coarse, level in zip(below, (3, 2, 1), strict=True)
        )
        self.class_head = nn.Conv2d(widths[1], len(self.classes), 1)
        self.fine = _Up(widths[1], inside[0], widths[0]) if objectness else None
        self.object_head = nn.Conv2d(widths[0], 1, 1) if objectness else None
        if self.object_head is not None:
            nn.init.constant_(self.object_head.bias, -2.0)  # type: ignore[arg-type]  # objects are rare

    def train(self, mode: bool = True) -> StreetNet:
        """Switches the mode; the pretrained encoder's batch statistics are never trained."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def encode(self, images: Tensor) -> list[Tensor]:
        """Computes the encoder features at strides 2, 4, 8, 16 and 32.

        Args:
            images: Float `[B, 3, H, W]` in 0..1, H and W multiples of 32.
        """
        if self.encoder is not None:
            scaled = (images - ENCODER_MEAN) / ENCODER_STD
            return list(self.encoder(scaled.contiguous(memory_format=torch.channels_last)))
        mean = images.new_tensor(_MEAN).view(1, 3, 1, 1)
        std = images.new_tensor(_STD).view(1, 3, 1, 1)
        levels = [self.stem(((images - mean) / std).contiguous(memory_format=torch.channels_last))]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        return levels

    def features(self, images: Tensor) -> list[Tensor]:
        """Computes the decoder features, coarse to fine (strides 16, 8, 4), then the stem's at stride 2.

        Args:
            images: Float `[B, 3, H, W]` in 0..1, H and W multiples of 32.
        """
        levels = self.encode(images)
        x = levels[4] + self.context(levels[4].mean((2, 3), keepdim=True))
        decoded = []
        for up, beside in zip(self.ups, (levels[3], levels[2], levels[1]), strict=True):
            x = up(x, beside)
            decoded.append(x)
        return [*decoded, levels[0]]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Computes the low-resolution logits.

        Args:
            images: Float `[B, 3, H, W]` in 0..1, H and W multiples of 32.

        Returns:
            Class logits `[B, C, H/4, W/4]` and objectness logits `[B, H/2, W/2]` (`None` without the head).
        """
        return self.heads(self.features(images))

    def heads(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Computes what `forward` returns from what `features` returned."""
        *_, decoded, stem = levels
        logits = self.class_head(decoded)
        if self.fine is None or self.object_head is None:
            return logits, None
        return logits, self.object_head(self.fine(decoded, stem))[:, 0]

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`.

        Logits and features come at a quarter of the image; at its full size where it had to be padded,
        since they would not cover it exactly otherwise.
        """
        padded = pad_to_stride(images)
        features = self.last_features(self.features(padded))
        logits = self.classify(features)
        if padded.shape == images.shape:
            return Segmentation(logits, features)
        height, width = images.shape[-2:]

        def exact(maps: Tensor) -> Tensor:
            full = resize(maps, padded.shape[-2:])
            return full[..., :height, :width]

        return Segmentation(exact(logits), exact(features))

    def last_features(self, levels: Sequence[Tensor]) -> Tensor:
        """Picks what the class head reads, `[B, C, H/4, W/4]`, from what `features` returned."""
        return levels[-2]

    def classify(self, features: Tensor) -> Tensor:
        """See `Segmenter.classify`."""
        logits: Tensor = self.class_head(features)
        return logits


def pad_to_stride(images: Tensor, stride: int = STRIDE) -> Tensor:
    """Pads right and below with the border's pixels until H and W are multiples of `stride`."""
    height, width = images.shape[-2:]
    down, right = -height % stride, -width % stride
    if not (down or right):
        return images
    return F.pad(images, (0, right, 0, down), mode="replicate")
