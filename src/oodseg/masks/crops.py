"""Cuts a square crop around every box of an image, and puts what was drawn in it back into place.

A crop covers the box enlarged around its centre, stretched to a square of fixed size, so that a
network sees every object at one scale, whatever its size in the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_SIDE = 12.0


def crop_regions(boxes: Tensor, context: float) -> Tensor:
    """Enlarges boxes around their centres to what their crops cover.

    Args:
        boxes: Float `[N, 4]`, `xyxy` in pixels.
        context: Factor on each side, >= 1.

    Returns:
        Float `[N, 4]`, `xyxy`; every side at least `MIN_SIDE` pixels; may reach outside the image.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = ((boxes[:, 2:] - boxes[:, :2]) * context).clamp_min(MIN_SIDE) / 2
    return torch.cat([centre - half, centre + half], dim=1)


def build_pyramid(image: Tensor, smallest: int) -> list[Tensor]:
    """Halves an image by 2x2 means until its long side is below `2 * smallest`.

    Args:
        image: Float `[C, H, W]`.
        smallest: Side of the crops to be cut, in pixels.

    Returns:
        Levels `[C, H / 2^i, W / 2^i]` (rounded up), the image itself first.
    """
    levels = [image]
    while max(levels[-1].shape[1:]) >= 2 * smallest:
        levels.append(F.avg_pool2d(levels[-1][None], 2, ceil_mode=True)[0])
    return levels


def sample_crops(pyramid: list[Tensor], regions: Tensor, size: int, outside: float = 0.0) -> Tensor:
    """Samples square crops bilinearly, each from the level where it is once to twice its final size.

    Args:
        pyramid: What `build_pyramid` returned.
        regions: Float `[N, 4]`, `xyxy` in pixels of the first level.
        size: Side of the crops.
        outside: Value outside the image.

    Returns:
        Float `[N, C, size, size]`.
    """
    channels = pyramid[0].shape[0]
    crops = pyramid[0].new_zeros((len(regions), channels, size, size))
    longest = (regions[:, 2:] - regions[:, :2]).amax(dim=1)
    wanted = torch.log2((longest / size).clamp_min(1.0)).floor().long().clamp_max(len(pyramid) - 1)
    for level in sorted(set(wanted.tolist())):
        chosen = (wanted == level).nonzero()[:, 0]
        crops[chosen] = sample_level(pyramid[level], regions[chosen] / 2**level, size, outside)
    return crops


def sample_level(source: Tensor, regions: Tensor, size: int, outside: float = 0.0) -> Tensor:
    """Samples square crops bilinearly from one image.

    Args:
        source: Float `[C, H, W]`.
        regions: Float `[N, 4]`, `xyxy` in its pixels.
        size: Side of the crops.
        outside: Value outside the image.

    Returns:
        Float `[N, C, size, size]`.
    """
    height, width = source.shape[1:]
    # Pixel centres of a crop, in units of its side.
    steps = (torch.arange(size, dtype=regions.dtype, device=regions.device) + 0.5) / size
    x = regions[:, 0, None] + steps * (regions[:, 2] - regions[:, 0])[:, None]
    y = regions[:, 1, None] + steps * (regions[:, 3] - regions[:, 1])[:, None]
    grid = torch.stack(
        [
            (2 * x / width - 1)[:, None, :].expand(-1, size, -1),
            (2 * y / height - 1)[:, :, None].expand(-1, -1, size),
        ],
        dim=-1,
    )
    # All crops in one tall grid: as a batch, an exported graph would copy the image N times.
    tall = grid.reshape(1, -1, size, 2).to(source.dtype)
    sampled = F.grid_sample(source[None], tall, align_corners=False)[0]
    crops = sampled.reshape(source.shape[0], -1, size, size).transpose(0, 1)
    if outside:
        share = _share_inside(y, height)[:, None, :, None] * _share_inside(x, width)[:, None, None, :]
        crops = crops + outside * (1 - share)
    return crops


def _share_inside(positions: Tensor, length: int) -> Tensor:
    """Returns the share of a bilinear sample at these positions that lies within `0..length`, in 0..1."""
    return (positions + 0.5).clamp(0, 1) * (length - positions + 0.5).clamp(0, 1)


def box_channel(boxes: Tensor, regions: Tensor, size: int) -> Tensor:
    """Draws every box into its crop: 1 inside, 0 outside, a ramp of one crop pixel between.

    Returns:
        Float `[N, 1, size, size]`.
    """
    scale = size / (regions[:, 2:] - regions[:, :2])
    low = (boxes[:, :2] - regions[:, :2]) * scale
    high = (boxes[:, 2:] - regions[:, :2]) * scale
    centres = torch.arange(size, dtype=boxes.dtype, device=boxes.device) + 0.5
    inside = (centres - low[..., None] + 0.5).clamp(0, 1) * (high[..., None] - centres + 0.5).clamp(0, 1)
    return (inside[:, 1, :, None] * inside[:, 0, None, :])[:, None]


def paste_logits(
    logits: NDArray[np.float32], region: tuple[float, float, float, float], height: int, width: int
) -> tuple[slice, slice, NDArray[np.float32]]:
    """Brings a crop's logits to the pixels of the image that it covers.

    Args:
        logits: Float32 `[size, size]` over `region`.
        region: `xyxy` in pixels of the image.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        Rows and columns of the image whose centres lie in the region, and the logits on them;
        empty slices where the region misses the image.
    """
    import cv2
    import numpy as np

    x0, y0, x1, y1 = region
    left, right = _covered(x0, x1, width)
    top, bottom = _covered(y0, y1, height)
    rows, columns = slice(top, bottom), slice(left, right)
    if right <= left or bottom <= top:
        return slice(0, 0), slice(0, 0), np.zeros((0, 0), np.float32)
    scale_x, scale_y = logits.shape[1] / (x1 - x0), logits.shape[0] / (y1 - y0)
    to_crop = np.array(
        [
            [scale_x, 0, (left + 0.5 - x0) * scale_x - 0.5],
            [0, scale_y, (top + 0.5 - y0) * scale_y - 0.5],
        ]
    )
    pasted: NDArray[np.float32] = cv2.warpAffine(
        logits,
        to_crop,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return rows, columns, pasted


def _covered(low: float, high: float, limit: int) -> tuple[int, int]:
    """First and one-past-last pixel whose centre lies in `low..high`, clipped to the image."""
    import math

    return max(0, math.ceil(low - 0.5)), min(limit, math.floor(high - 0.5) + 1)
