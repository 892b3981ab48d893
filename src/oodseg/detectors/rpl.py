"""RPL: a block beside a frozen segmenter that learned to disturb what is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from oodseg.detectors import published
from oodseg.detectors.exposed import ExposedDetector, SeenFeatures, zeroed
from oodseg.detectors.logit import LogitDetector
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.uncertainty import energy
from oodseg.segmenters import Segmenter

_RATES = (6, 12, 18)


class RplDetector(ExposedDetector):
    """Residual pattern learning (Liu et al., ICCV 2023, arXiv 2211.14512), with or without CoroCL.

    A block beside the frozen network adds a residual to the features before the last layer, `f(z + r(z))`,
    and the score is the energy of the logits that follow, smoothed by a 7x7 Gaussian. The classes remain
    those of the network. In the release the block reads the backbone and its residual goes through the two
    convolutions before the last layer too; see `oodseg.detectors.published` for its files and
    `oodseg.training.losses.rpl` for the loss.
    """

    name = "rpl"
    keeps_classes: ClassVar[bool] = True
    head: ResidualBlock

    def __init__(self, segmenter: Segmenter, channels: int, hidden: int = 64, smooth: float = 1.0) -> None:
        super().__init__(segmenter, channels, hidden, smooth)

    @classmethod
    def from_checkpoint(cls, path: Path, smooth: float = 1.0) -> LogitDetector:
        """See `oodseg.detectors.published.rpl`."""
        return published.rpl(path, smooth)

    def new_head(self) -> nn.Module:
        """See `ExposedDetector.new_head`."""
        return ResidualBlock(self.channels, self.hidden)

    def read(self, seen: SeenFeatures) -> Tensor:
        """See `ExposedDetector.read`."""
        return self.segmenter.classify(seen.features + self.head(seen.features).float()).float()

    def rate(self, logits: Tensor) -> Tensor:
        """See `ExposedDetector.rate`."""
        return energy(logits)


class ResidualBlock(nn.Module):
    """Atrous spatial pyramid pooling, and a layer that starts at zero: features to a residual of theirs.

    Args:
        channels: Of the features.
        hidden: Channels of each branch, and of the embedding.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.near = conv_norm_relu(channels, hidden, kernel=1)
        self.far = nn.ModuleList(conv_norm_relu(channels, hidden, dilation=rate) for rate in _RATES)
        # Of one value per image there is no variance in a batch of one: no norm here.
        self.whole = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU())
        self.joined = nn.Conv2d((2 + len(_RATES)) * hidden, hidden, 1, bias=False)
        self.residual = zeroed(hidden, channels)

    def embed(self, features: Tensor) -> Tensor:
        """Computes what the residual is made of and CoroCL contrasts, `[B, hidden, h, w]`."""
        whole = self.whole(features.mean((2, 3), keepdim=True)).expand(-1, -1, *features.shape[-2:])
        branches = [whole, self.near(features), *(far(features) for far in self.far)]
        return self.joined(torch.cat(branches, 1))  # type: ignore[no-any-return]

    def forward(self, features: Tensor) -> Tensor:
        """Computes the residual, `[B, D, h, w]`."""
        return self.residual(self.embed(features))  # type: ignore[no-any-return]
