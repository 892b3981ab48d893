"""Mask contrastive learning (Mask2Anomaly: Rai et al., ICCV 2023, arXiv 2307.13316)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from oodseg.training.losses.masked import mean_where


def mask2anomaly(scores: Tensor, inlier: Tensor, outlier: Tensor, margin: float = 0.75) -> dict[str, Tensor]:
    """Computes `E_in[l^2] / 2` and `E_out[max(0, m - l)^2] / 2` of the scores `l = 1 - max_c L_c`.

    As in the paper. The release leaves out the one, `l = -max_c L_c`, with which both terms pull every pixel
    towards no class at all; its configuration names a margin of 1. It also enlarges the scores to the size
    of the image.

    Args:
        scores: l, float `[B, h, w]`; see `oodseg.detectors.query_scores.mask2anomaly`.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        margin: m, up to which outliers are pushed.

    Returns:
        `"inliers"` and `"outliers"`.
    """
    return {
        "inliers": mean_where(scores**2, inlier) / 2,
        "outliers": mean_where(F.relu(margin - scores) ** 2, outlier) / 2,
    }
