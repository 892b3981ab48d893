"""Likelihood and dataset posterior (DenseHybrid: Grcić et al., ECCV 2022, arXiv 2207.02606, Sec. 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.training.losses.masked import class_loss, mean_where


def densehybrid(
    logits: Tensor, posterior: Tensor, labels: Tensor, inlier: Tensor, outlier: Tensor, weight: float = 0.03
) -> dict[str, Tensor]:
    """Computes `-log P(y | x)` on inliers, `log p(x)` on outliers, and the cross-entropy of the two.

    `E_in[-log P_y] + b E_out[log sum_c exp f_c] + 10 b E[-log P(d | x)]`: the paper bounds the likelihood's
    loss by the first two terms, so that its normalising constant is not needed. The factor 10 is the
    release's, which also subtracts the mean logit from the second term, without a gradient, and counts
    void pixels as inliers in the third.

    Args:
        logits: f, float `[B, C, h, w]`.
        posterior: Logits of d, inlier first, float `[B, 2, h, w]`.
        labels: int64 `[B, h, w]`.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        weight: b; 0.03 in the release.

    Returns:
        `"classes"`, `"likelihood"` and `"posterior"`.
    """
    told = F.cross_entropy(posterior, outlier.long(), reduction="none")
    return {
        "classes": class_loss(logits, labels, outlier),
        "likelihood": weight * mean_where(torch.logsumexp(logits, 1), outlier),
        "posterior": 10 * weight * mean_where(told, inlier | outlier),
    }
