"""Gaussian smoothing of score maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_blur(score: Tensor, sigma: float, dilation: int = 1, mirror: bool = False) -> Tensor:
    """Smooths a score map by a Gaussian cut off at three standard deviations (7x7 for sigma 1).

    PEBAL, RPL and S2M smooth their energy with sigma 1 and mirrored borders (torchvision's GaussianBlur);
    standardized max logits with sigma 1, a dilation of 6 and repeated borders (Jung et al., ICCV 2021).

    Args:
        score: Float `[B, H, W]`.
        sigma: Standard deviation in taps, above 0.
        dilation: Distance of the taps in pixels.
        mirror: Whether borders are continued by mirroring about their outermost pixels, rather than by
            repeating these.

    Returns:
        Float `[B, H, W]`.
    """
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=score.dtype, device=score.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    border = reach * dilation
    if not mirror:
        padded = F.pad(score[:, None], (border,) * 4, mode="replicate")
    elif border < min(score.shape[1:]):
        padded = F.pad(score[:, None], (border,) * 4, mode="reflect")
    else:
        rows, columns = (_mirrored(side, border).to(score.device) for side in score.shape[1:])
        padded = score[:, None, rows][..., columns]
    blurred = F.conv2d(padded, kernel.view(1, 1, 1, -1), dilation=dilation)
    return F.conv2d(blurred, kernel.view(1, 1, -1, 1), dilation=dilation)[:, 0]


def _mirrored(side: int, reach: int) -> Tensor:
    """Indices of a side that is continued by more than itself, back and forth."""
    period = max(1, 2 * (side - 1))
    steps = torch.arange(-reach, side + reach) % period
    return torch.minimum(steps, period - steps)
