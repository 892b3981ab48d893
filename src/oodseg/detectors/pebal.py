"""PEBAL: energies that learned together with a class to abstain."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from torch import Tensor

from oodseg.detectors import published
from oodseg.detectors.exposed import ExposedDetector
from oodseg.detectors.logit import LogitDetector
from oodseg.nn.uncertainty import energy
from oodseg.segmenters import Segmenter


class PebalDetector(ExposedDetector):
    """Pixel-wise energy-biased abstention learning (Tian et al., ECCV 2022, arXiv 2111.12264).

    The score is the energy `-log sum_c exp f_c` of the C known classes, without the abstention logit that was
    trained beside them, smoothed by a 7x7 Gaussian. As in the release, which trains the last block alone
    (two convolutions and the classes), in a network of one more class. See `oodseg.training.losses.pebal` for
    the loss.
    """

    name = "pebal"
    extra: ClassVar[int] = 1

    def __init__(self, segmenter: Segmenter, channels: int, hidden: int = 64, smooth: float = 1.0) -> None:
        super().__init__(segmenter, channels, hidden, smooth)

    @classmethod
    def from_checkpoint(cls, path: Path, smooth: float = 1.0) -> LogitDetector:
        """See `oodseg.detectors.published.pebal`."""
        return published.pebal(path, smooth)

    def rate(self, logits: Tensor) -> Tensor:
        """See `ExposedDetector.rate`."""
        return energy(logits[:, :-1])
