"""Hinges on the energy (Liu et al., NeurIPS 2020, arXiv 2010.03759, Sec. 3.3)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from oodseg.nn.uncertainty import energy
from oodseg.training.losses.masked import class_loss, mean_where

Margins = tuple[float, float]


def hinges(energies: Tensor, inlier: Tensor, outlier: Tensor, margins: Margins) -> dict[str, Tensor]:
    """Computes `E_in[max(0, E - m_in)^2]` and `E_out[max(0, m_out - E)^2]`.

    Args:
        energies: E, float `[B, h, w]`; higher = more anomalous.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        margins: m_in, above which inliers are pushed down, and m_out, below which outliers are pushed up.

    Returns:
        `"inliers"` and `"outliers"`.
    """
    inside, outside = margins
    return {
        "inliers": mean_where(F.relu(energies - inside) ** 2, inlier),
        "outliers": mean_where(F.relu(outside - energies) ** 2, outlier),
    }


def energy_margin(
    logits: Tensor, labels: Tensor, inlier: Tensor, outlier: Tensor, margins: Margins, weight: float = 0.1
) -> dict[str, Tensor]:
    """Computes the cross-entropy on the classes and hinges on the energy, `E = -log sum_c exp f_c`.

    The paper's margins (-25 and -7 for images of CIFAR-10) and PEBAL's (-12 and -6 for pixels of Cityscapes)
    fit the energies of their networks; see `measured_margins`.

    Args:
        logits: f, float `[B, C, h, w]`.
        labels: int64 `[B, h, w]`.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        margins: See `hinges`.
        weight: Of both hinges; 0.1 in the paper.

    Returns:
        `"classes"`, `"inliers"` and `"outliers"`.
    """
    parts = hinges(energy(logits), inlier, outlier, margins)
    weighted = {name: weight * part for name, part in parts.items()}
    return {"classes": class_loss(logits, labels, outlier), **weighted}


def measured_margins(energies: Tensor, inlier: Tensor) -> Margins:
    """Margins for a network's own energies: the mean of inliers, and as far below zero as half of that.

    PEBAL's -12 and -6 in the scale of any network. Where the mean of inliers lies above zero, the second
    margin lies above it by half of its size.

    Args:
        energies: Of the network before training, float `[B, h, w]`.
        inlier: Bool `[B, h, w]`, at least one of them True.
    """
    inside = float(mean_where(energies, inlier))
    return inside, inside + abs(inside) / 2
