"""Energy with a margin between what is known and what is not."""

from __future__ import annotations

from torch import Tensor

from oodseg.detectors.exposed import ExposedDetector
from oodseg.nn.uncertainty import energy


class EnergyMarginDetector(ExposedDetector):
    """Energy after energy-bounded learning (Liu et al., NeurIPS 2020, Sec. 3.3, arXiv 2010.03759).

    The score is `-log sum_c exp f_c`. The paper fine-tunes the whole network, of images; PEBAL took the
    hinges to pixels. See `oodseg.training.losses.energy_margin` for the loss.
    """

    name = "energy_margin"

    def rate(self, logits: Tensor) -> Tensor:
        """See `ExposedDetector.rate`."""
        return energy(logits)
