"""The base of detectors with a head that learned from outliers beside a frozen segmenter.

The published methods start from a trained segmenter and change all of it, its last block, or nothing but a
block beside it. Here none of it changes, so that any segmenter of the zoo will do and its classes stay what
they were: what learns is a head that reads the features before the last layer. Its last layer starts at
zero, so that an untrained head gives the segmenter's own logits.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.taught import Seen, TaughtDetector, features_of
from oodseg.nn.tensors import to_multiple
from oodseg.segmenters import Segmenter
from oodseg.segmenters.street import STRIDE

_SLACK, _ROUNDING = 0.05, 0.01  # of the range and of the size of logits: for reduced precision


@dataclass(frozen=True)
class SeenFeatures(Seen):
    """Logits of the frozen segmenter with the features behind them.

    Attributes:
        features: Float `[B, D, h, w]` before the last layer.
    """

    features: Tensor


class ExposedDetector(TaughtDetector[SeenFeatures]):
    """Scores by logits that a trained head adds to a frozen segmenter's.

    Args:
        segmenter: One that hands out its features; see `Segmenter.classify`.
        channels: Channels D of these features.
        hidden: Channels of the head.
        smooth: See `TaughtDetector`.

    Attributes:
        extra: Logits beyond the segmenter's classes.

    Raises:
        ConfigError: A number out of range.
    """

    subparts: ClassVar = {"segmenter": "segmenters"}
    extra: ClassVar[int] = 0

    def __init__(self, segmenter: Segmenter, channels: int, hidden: int = 64, smooth: float = 0.0) -> None:
        super().__init__(smooth)
        if channels < 1 or hidden < 1:
            raise ConfigError(f"{self.name} takes at least one channel, not {channels} and {hidden}")
        self.segmenter = segmenter
        self.channels, self.hidden = channels, hidden
        self.head = self.new_head()
        self.eval()

    @classmethod
    def around(cls, segmenter: Segmenter, hidden: int = 64, smooth: float | None = None) -> Self:
        """Builds one with a new head around a segmenter.

        Args:
            segmenter: The segmenter.
            hidden: See the class.
            smooth: See the class; None for what the method's release does.

        Raises:
            ConfigError: The segmenter gives no features, or none that its last layer turns into its logits.
        """
        side = 2 * STRIDE
        channels = _checked_features(segmenter, torch.linspace(0, 1, 3 * side**2).view(1, 3, side, side))
        return cls(segmenter, channels, hidden, **({} if smooth is None else {"smooth": smooth}))

    def new_head(self) -> nn.Module:
        """Builds the untrained head.

        Raises:
            ConfigError: The segmenter does not name its classes.
        """
        if not self.segmenter.classes:
            raise ConfigError(
                f"{self.name} adds to the logits of every class, and the segmenter '{self.segmenter.name}' "
                "names none: name them with `classes`"
            )
        return Correction(self.channels, self.hidden, len(self.segmenter.classes) + self.extra)

    @torch.no_grad()
    def see(self, images: Tensor) -> SeenFeatures:
        """See `TaughtDetector.see`."""
        with fast_autocast(images.device):
            features = features_of(self.segmenter, to_multiple(images, STRIDE))
        return SeenFeatures(self.segmenter.classify(features).float(), features)

    def read(self, seen: SeenFeatures) -> Tensor:
        """See `TaughtDetector.read`: K = C + extra."""
        added: Tensor = self.head(seen.features).float()
        return F.pad(seen.logits, (0, 0, 0, 0, 0, self.extra)) + added

    @abstractmethod
    def rate(self, logits: Tensor) -> Tensor:
        """Turns the logits of `read` into scores `[B, h, w]`."""

    def judge(self, seen: SeenFeatures) -> Tensor:
        """See `TaughtDetector.judge`."""
        return self.rate(self.read(seen))


@torch.no_grad()
def _checked_features(segmenter: Segmenter, images: Tensor) -> int:
    """Counts the channels of a segmenter's features, which its last layer turns into its logits."""
    features = features_of(segmenter, images)
    found, shown = segmenter.classify(features).float(), segmenter.segment(images)
    if found.shape[:2] != shown.logits.shape[:2]:
        raise ConfigError(
            f"the features of the segmenter '{segmenter.name}' are what a layer turns into "
            f"{list(found.shape)}, not into its {shown.logits.shape[1]} logits: name its last layer "
            "(`classifier`)"
        )
    low, high = found.amin((2, 3), keepdim=True), found.amax((2, 3), keepdim=True)
    # Where logits hardly vary, what is left of the difference is rounding.
    slack = _SLACK * (high - low).amax() + _ROUNDING * found.abs().amax()
    # Logits are enlarged, which leaves them between the least and the largest.
    inside = (shown.logits >= low - slack) & (shown.logits <= high + slack)
    if not shown.relative and not bool(inside.all()):
        raise ConfigError(
            f"the segmenter '{segmenter.name}' changes what its last layer makes of the features, or "
            "calls it more than once, so that what is trained on them would not be about its logits: let "
            "the layer that it names as `classifier` give the logits"
        )
    return features.shape[1]


class Correction(nn.Sequential):
    """Two convolutions and a layer that starts at zero: `[B, D, h, w]` to `[B, K, h, w]`.

    Args:
        channels: D.
        hidden: Channels in between.
        outputs: K.
    """

    def __init__(self, channels: int, hidden: int, outputs: int) -> None:
        super().__init__(
            conv_norm_relu(channels, hidden), conv_norm_relu(hidden, hidden), zeroed(hidden, outputs)
        )


def zeroed(inside: int, outside: int) -> nn.Conv2d:
    """Builds a 1x1 convolution that gives zero until it is trained."""
    layer = nn.Conv2d(inside, outside, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
