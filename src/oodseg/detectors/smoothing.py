"""Gaussian smoothing of score maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_blur(score: Tensor, sigma: float, dilation: int = 1) -> Tensor:
    """Smooths a score map by a Gaussian cut off at three standard deviations (7x7 for sigma 1).

    PEBAL, RPL and S2M smooth their energy with sigma 1; standardized max logits with sigma 1 and a
    dilation of 6 (Jung et al., ICCV 2021). Borders are continued by their outermost pixels.

    Args:
        score: Float `[B, H, W]`.
        sigma: Standard deviation in taps, above 0.
        dilation: Distance of the taps in pixels.

    Returns:
        Float `[B, H, W]`.
    """
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=score.dtype, device=score.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(score[:, None], (reach * dilation,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1), dilation=dilation)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1), dilation=dilation)[:, 0]
