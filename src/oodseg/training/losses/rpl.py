"""Residual pattern learning (RPL: Liu et al., ICCV 2023, arXiv 2211.14512, Sec. 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.training.losses.masked import mean_where

_LEAST = 1e-7  # probability below which the release cuts off


def clamped_entropy(logits: Tensor) -> Tensor:
    """Computes the entropy in nats of probabilities of at least 1e-7: float `[B, C, ...]` to `[B, ...]`."""
    p = logits.softmax(1).clamp_min(_LEAST)
    return -(p * p.log()).sum(1)


def rpl(
    logits: Tensor, frozen: Tensor, inlier: Tensor, outlier: Tensor, outlier_weight: float = 0.05
) -> dict[str, Tensor]:
    """Computes RPL's losses: nothing changes for inliers, and outliers lose their energy.

    On inliers cross-entropy to the class that the frozen network predicts and the squared difference of the
    two entropies; on outliers `w max(0, log sum_c exp f_c)`, which raises their energy to zero. No label is
    needed. As in the release; the logarithm of the sum is taken without overflow.

    Args:
        logits: f, those with the residual, float `[B, C, h, w]`.
        frozen: Those without it, float `[B, C, h, w]`.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        outlier_weight: w.

    Returns:
        `"classes"`, `"entropy"` and `"outliers"`.
    """
    frozen = frozen.detach()
    agreement = F.cross_entropy(logits, frozen.argmax(1), reduction="none")
    moved = (clamped_entropy(logits) - clamped_entropy(frozen)) ** 2
    return {
        "classes": mean_where(agreement, inlier),
        "entropy": mean_where(moved, inlier),
        "outliers": outlier_weight * mean_where(F.relu(torch.logsumexp(logits, 1)), outlier),
    }
