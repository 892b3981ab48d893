"""DenseHybrid: how unlikely a pixel is, and how much it looks like the outliers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.detectors.exposed import ExposedDetector


class DenseHybridDetector(ExposedDetector):
    """Likelihood and dataset posterior in one score (Grcić et al., ECCV 2022, arXiv 2207.02606).

    `log P(d_out | x) - log p(x)`, with the unnormalised likelihood `p(x) = sum_c exp f_c` and the posterior
    of two further logits. The paper trains all of the network, so that its classes change with `f`; here the
    segmenter keeps its classes, and `f` of the score are logits beside them. The release reads the posterior
    off a 1x1 convolution; here it shares the head's convolutions. See `oodseg.training.losses.densehybrid`
    for the loss.
    """

    name = "densehybrid"
    extra: ClassVar[int] = 2
    keeps_classes: ClassVar[bool] = True

    def rate(self, logits: Tensor) -> Tensor:
        """See `ExposedDetector.rate`."""
        return hybrid_score(logits[:, : -self.extra], logits[:, -self.extra :])


def hybrid_score(logits: Tensor, posterior: Tensor) -> Tensor:
    """Computes the log-posterior of an outlier minus log-likelihood, `log P(d_out | x) - log sum_c exp f_c`.

    Args:
        logits: f, float `[B, C, ...]`.
        posterior: Logits of being an inlier and of being an outlier, float `[B, 2, ...]`.

    Returns:
        Float `[B, ...]`.
    """
    return F.log_softmax(posterior, 1)[:, 1] - torch.logsumexp(logits, 1)
