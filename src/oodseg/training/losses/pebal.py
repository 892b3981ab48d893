"""Pixel-wise energy-biased abstention learning (PEBAL: Tian et al., ECCV 2022, arXiv 2111.12264, Sec. 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.taxonomy import IGNORE
from oodseg.nn.smoothing import gaussian_blur
from oodseg.nn.uncertainty import energy
from oodseg.training.losses.energy_margin import Margins, hinges
from oodseg.training.losses.masked import mean_where

_INSIDE = 12.0  # below zero lie the energies of inliers in the paper


def gambler(
    logits: Tensor, labels: Tensor, outlier: Tensor, outlier_weight: float = 0.1, scale: float = 1.0
) -> dict[str, Tensor]:
    """Computes the abstention loss with a penalty per pixel: `-log(P_y + P_abstain / a)` on what is known.

    The penalty `a = (s E)^2`, E the energy of the known classes, is large where the network is sure; it is
    smoothed by a 7x7 Gaussian. In the paper s is 1 and E about -12; with smaller energies the penalty falls
    below 1, where abstaining pays more than being right and the loss drives all energies to zero. So s
    brings them to that scale, and no penalty is below 1. On outliers the mean over the classes,
    `-w/C sum_c log(P_c + P_abstain / a)`, asks for abstention where a is below C, and elsewhere for equally
    likely classes; with PEBAL's margins a is 36 for an outlier whose energy is m_out.

    In the release this second term has no gradient: the logarithm is taken twice, and its argument clamped
    at 1e-7 in between, which leaves a constant. Here it is taken once.

    Args:
        logits: Float `[B, C + 1, h, w]`, abstention last.
        labels: int64 `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        outlier_weight: w.
        scale: s.

    Returns:
        `"classes"` and `"abstention"`.
    """
    penalty = gaussian_blur((scale * energy(logits[:, :-1])) ** 2, 1.0, mirror=True).clamp_min(1)
    log_p = F.log_softmax(logits, 1)
    # log(P_c + P_abstain / a) for every class, without leaving the logarithm.
    hedged = torch.logaddexp(log_p[:, :-1], (log_p[:, -1] - penalty.log())[:, None])
    known = (labels != IGNORE) & ~outlier
    chosen = hedged.gather(1, labels.where(known, 0)[:, None])[:, 0]
    return {
        "classes": mean_where(-chosen, known),
        "abstention": outlier_weight * mean_where(-hedged.mean(1), outlier),
    }


def smoothness(energies: Tensor) -> Tensor:
    """Computes half the sum of squared differences of neighbours in float `[B, h, w]`."""
    down, right = energies.diff(dim=1), energies.diff(dim=2)
    return ((down**2).sum() + (right**2).sum()) / 2


def sparsity(energies: Tensor, outlier: Tensor) -> Tensor:
    """Computes the length of the vector of all outliers' energies, over float `[B, h, w]`; 0 without one."""
    squares = torch.where(outlier, energies, 0.0).square().sum()
    # The root has no gradient at 0.
    return torch.where(squares > 0, squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt(), 0.0)


def pebal(
    logits: Tensor,
    labels: Tensor,
    inlier: Tensor,
    outlier: Tensor,
    margins: Margins,
    energy_weight: float = 0.1,
    outlier_weight: float = 0.1,
    smooth_weight: float = 3e-6,
    sparse_weight: float = 5e-4,
) -> dict[str, Tensor]:
    """Computes PEBAL's losses: abstention and energies, trained together.

    `gambler + w_e (hinges + w_s smoothness + w_1 sparsity)`. As in the release the hinges are halved where
    there are outliers, smoothness is a sum over all pixels, and sparsity the length of the vector of all
    outliers' energies; the paper prints absolute values, of differences and of energies. The penalty of
    abstention is that of energies whose m_in is -12.

    Args:
        logits: Float `[B, C + 1, h, w]`, abstention last.
        labels: int64 `[B, h, w]`.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        margins: See `energy_margin.hinges`; -12 and -6 in the paper.
        energy_weight: w_e.
        outlier_weight: See `gambler`.
        smooth_weight: w_s.
        sparse_weight: w_1.

    Returns:
        `"classes"`, `"abstention"`, `"inliers"`, `"outliers"`, `"smoothness"` and `"sparsity"`.
    """
    energies = energy(logits[:, :-1])
    share = torch.where(outlier.any(), 0.5, 1.0)
    pushed = {name: share * part for name, part in hinges(energies, inlier, outlier, margins).items()}
    shape = {
        **pushed,
        "smoothness": smooth_weight * smoothness(energies),
        "sparsity": sparse_weight * sparsity(energies, outlier),
    }
    weighted = {name: energy_weight * part for name, part in shape.items()}
    scale = _INSIDE / max(abs(margins[0]), torch.finfo(torch.float32).eps)
    return {**gambler(logits, labels, outlier, outlier_weight, scale), **weighted}
