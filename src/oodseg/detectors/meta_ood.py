"""Meta-OoD: a segmenter that learned to be unsure of what it does not know."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from oodseg.detectors import published
from oodseg.detectors.exposed import ExposedDetector
from oodseg.detectors.logit import LogitDetector
from oodseg.nn.uncertainty import softmax_entropy


class MetaOodDetector(ExposedDetector):
    """Entropy after entropy maximisation on outliers (Chan et al., ICCV 2021, arXiv 2012.06575).

    The score is the normalised entropy `-sum_c P_c log P_c / log C`, 0..1. The paper trains the whole network
    and follows up with a meta classifier that removes false objects; the prompts take its place here. See
    `oodseg.training.losses.meta_ood` for the loss.
    """

    name = "meta_ood"

    @classmethod
    def from_checkpoint(cls, path: Path, smooth: float = 0.0) -> LogitDetector:
        """See `oodseg.detectors.published.meta_ood`."""
        return published.meta_ood(path, smooth)

    def rate(self, logits: Tensor) -> Tensor:
        """See `ExposedDetector.rate`."""
        return softmax_entropy(logits)
