"""The truth of a scene about each pixel, at the resolution of a detector's logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.taxonomy import IGNORE


@dataclass(frozen=True)
class Truth:
    """The truth of a batch of scenes.

    Attributes:
        labels: int64 `[B, h, w]`: classes, `IGNORE` where none is known.
        inlier: Bool `[B, h, w]`: nothing unknown.
        outlier: Bool `[B, h, w]`: an unknown object. What is neither is not to be judged.
        elsewhere: Bool `[B]`: images that are no streets, of which no pixel has a class.
    """

    labels: Tensor
    inlier: Tensor
    outlier: Tensor
    elsewhere: Tensor

    @classmethod
    def of(cls, labels: Tensor, unknown: Tensor, size: tuple[int, int]) -> Truth:
        """Reads a scene's codes at another resolution.

        Args:
            labels: uint8 `[B, H, W]`, as in `oodseg.synth.scenes.Scene`.
            unknown: uint8 `[B, H, W]` likewise.
            size: Height and width of the result.
        """
        codes = F.interpolate(torch.stack([labels, unknown], 1).float(), size, mode="nearest-exact").long()
        classes, things = codes.unbind(1)
        return cls(
            labels=classes,
            inlier=things == 0,
            outlier=(things > 0) & (things < IGNORE),
            elsewhere=(labels == IGNORE).flatten(1).all(1),
        )

    def of_network(self, logits: Tensor) -> Truth:
        """Returns the same with the classes that a network predicts, wherever a class is known.

        Args:
            logits: Float `[B, C, h, w]`.
        """
        predicted = logits.argmax(1).where(self.labels != IGNORE, IGNORE)
        return Truth(predicted, self.inlier, self.outlier, self.elsewhere)
