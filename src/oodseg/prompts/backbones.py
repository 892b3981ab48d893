"""Backbones of the Faster R-CNN on score maps: a compact network, or ResNet-50 as in the paper."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from oodseg.nn.blocks import Residual, conv_norm_relu
from oodseg.nn.vision import FeaturePyramidNetwork, LastLevelMaxPool, resnet_fpn_backbone

_CELL = 4
_WIDTHS = (32, 64, 128, 160)
_BLOCKS = (1, 1, 2, 2)


class CompactBackbone(nn.Module):
    """A small residual network with a feature pyramid, for one-channel score maps.

    Cells of 4×4 pixels become 16 channels (nothing is lost, and no layer runs at full size); residual
    stages of strides 4, 8, 16 and 32 (32, 64, 128 and 160 channels); a feature pyramid of 48 channels on
    these and a pooled level of stride 64. A score map holds far less than an image: a hundredth of
    ResNet-50's work is enough.

    Args:
        features: Channels of the image features that join the score at strides 8 and 16; empty for none.

    Attributes:
        out_channels: Channels of every level.
        in_channels: Channels of the input.
    """

    in_channels = 1
    out_channels = 48

    def __init__(self, features: Sequence[int] = ()) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(_CELL), conv_norm_relu(_CELL**2, _WIDTHS[0]))
        stages, inputs = [], _WIDTHS[0]
        for index, (outputs, blocks) in enumerate(zip(_WIDTHS, _BLOCKS, strict=True)):
            rest = [Residual(outputs, outputs, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(Residual(inputs, outputs, 1 if index == 0 else 2), *rest))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.pyramid = FeaturePyramidNetwork(list(_WIDTHS), self.out_channels, LastLevelMaxPool())
        # Without bias or normalisation: where there are no features, zeros change nothing.
        self.join = nn.ModuleList(
            nn.Conv2d(inside, _WIDTHS[index + 1], 1, bias=False) for index, inside in enumerate(features)
        )

    def forward(self, x: Tensor, features: Sequence[Tensor] = ()) -> Any:
        """Maps `[B, 1, H, W]` to an ordered dict of `"0"`..`"3"` and `"pool"`, strides 4 to 64.

        Args:
            x: Score maps, padded.
            features: None, or image features at strides 8 and 16 of the same padded canvas.
        """
        levels: OrderedDict[str, Tensor] = OrderedDict()
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if features and 0 < index <= len(self.join):
                x = x + self.join[index - 1](features[index - 1])
            levels[str(index)] = x
        return self.pyramid(levels)


def resnet50_backbone() -> Any:
    """Builds the paper's ResNet-50 with a feature pyramid of 256 channels, with random weights.

    Batch norm is trained, as there are no ImageNet weights whose statistics could be kept.
    """
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    backbone.in_channels = 3
    return backbone
