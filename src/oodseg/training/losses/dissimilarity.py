"""The loss of SynBoost's dissimilarity network (Di Biase et al., CVPR 2021, arXiv 2103.05445)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Of inliers and outliers: the release's class weights for Cityscapes without void.
WEIGHTS = (1.46494611, 16.5204619)


def dissimilarity(
    logits: Tensor, inlier: Tensor, outlier: Tensor, weights: tuple[float, float] = WEIGHTS
) -> dict[str, Tensor]:
    """Computes the cross-entropy of inlier and outlier, a mean weighted for the rarer outliers.

    The release learns from Cityscapes' void regions and from instances whose class is exchanged before the
    synthesis; here the outliers are those of the scenes, as for every other method.

    Args:
        logits: Inlier first, float `[B, 2, h, w]`.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        weights: Of an inlier and of an outlier.

    Returns:
        `"pixels"`.
    """
    losses = F.cross_entropy(logits, outlier.long(), reduction="none")
    weight = torch.where(outlier, weights[1], torch.where(inlier, weights[0], 0.0))
    total = weight.sum()
    return {"pixels": (losses * weight).sum() / torch.where(total > 0, total, 1.0)}
