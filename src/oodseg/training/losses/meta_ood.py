"""Entropy maximisation on outliers (Meta-OoD: Chan et al., ICCV 2021, arXiv 2012.06575, Sec. 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from oodseg.training.losses.masked import class_loss, mean_where


def entropy_maximisation(
    logits: Tensor, labels: Tensor, outlier: Tensor, weight: float = 0.9
) -> dict[str, Tensor]:
    """Computes `(1 - w) E_in[-log P_y] + w E_out[-1/C sum_c log P_c]` (Eq. 1 to 3).

    The second term is least where all classes are equally likely.

    The release differs: it takes one mean over all pixels, void ones included, and over the C classes, so
    that outliers weigh by their area and both terms are C times smaller.

    Args:
        logits: Float `[B, C, h, w]`.
        labels: int64 `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        weight: w of the outliers, 0..1; 0.9 in the paper.

    Returns:
        `"classes"` and `"outliers"`.
    """
    to_uniform = torch.logsumexp(logits, 1) - logits.mean(1)
    return {
        "classes": (1 - weight) * class_loss(logits, labels, outlier),
        "outliers": weight * mean_where(to_uniform, outlier),
    }
