"""Outlier supervision of RbA (Nayal et al., ICCV 2023, arXiv 2211.14293)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from oodseg.training.losses.masked import mean_where


def rba(scores: Tensor, outlier: Tensor, target: float = 5.0) -> dict[str, Tensor]:
    """Computes the squared hinge `E_out[max(0, a - RbA)^2] / 2`.

    As in the release, whose second hinge, `max(0, RbA)^2` on inliers, is always zero: no score lies above
    zero. For the same reason the target, there 5, is never reached, and outliers are pushed all the time;
    what is known is held by Mask2Former's own losses. The release also enlarges the scores to the size of
    the image.

    Args:
        scores: RbA, float `[B, h, w]`; see `oodseg.detectors.query_scores.rba`.
        outlier: Bool `[B, h, w]`.
        target: a.

    Returns:
        `"outliers"`.
    """
    return {"outliers": mean_where(F.relu(target - scores) ** 2, outlier) / 2}
