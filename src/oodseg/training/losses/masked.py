"""Means over some of the pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.taxonomy import IGNORE


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Averages the values at the marked places, 0 where there are none; the others get no gradient.

    Args:
        values: Float `[...]`.
        where: Bool `[...]`.
    """
    return torch.where(where, values, 0.0).sum() / where.sum().clamp_min(1)


def class_loss(logits: Tensor, labels: Tensor, outlier: Tensor) -> Tensor:
    """Computes the cross-entropy of the known classes, a mean over pixels that have one and are no outliers.

    Args:
        logits: Float `[B, C, h, w]`.
        labels: int64 `[B, h, w]`, `IGNORE` where no class is known.
        outlier: Bool `[B, h, w]`.
    """
    losses = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    return mean_where(losses, (labels != IGNORE) & ~outlier)
