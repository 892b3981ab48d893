"""Resizes image-like tensors, in the one bilinear way that all networks share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def resize(maps: Tensor, size: Sequence[int], *, antialias: bool = False) -> Tensor:
    """Resizes maps bilinearly, with pixels as areas (`align_corners=False`).

    Args:
        maps: Float `[B, C, h, w]`.
        size: Height and width of the result.
        antialias: Whether to antialias when downsampling.

    Returns:
        Float `[B, C, H, W]` of the same type; maps that have that size already are handed back as they are.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, list(size), mode="bilinear", align_corners=False, antialias=antialias)


def resize_scores(scores: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes score maps, float `[B, h, w]`, to `[B, H, W]`; see `resize`."""
    return resize(scores[:, None], size)[:, 0]


def to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Stretches images, float `[B, C, H, W]`, until their sides are multiples of `multiple`.

    Stretched rather than padded, the logits cover the image exactly at whatever resolution they come.
    """
    return resize(images, [(side + multiple - 1) // multiple * multiple for side in images.shape[-2:]])
