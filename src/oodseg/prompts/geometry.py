"""Shared by all prompt generators: input check, box suppression, sorted result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodseg.core.errors import ScoreMapError
from oodseg.core.parts import BoxPrompts
from oodseg.nn.light_imports import import_torchvision

_MIDDLE = 0.6  # share of a box's sides
_CELLS = 8  # per side, with four samples each

if TYPE_CHECKING:
    from torch import Tensor


def checked(scores: Tensor) -> Tensor:
    """Returns normalised score maps as float32 `[B, H, W]`.

    Raises:
        ScoreMapError: Not three dimensions, an empty map, or values that are not finite.
    """
    if scores.ndim != 3 or scores.shape[1] == 0 or scores.shape[2] == 0:
        raise ScoreMapError(
            f"a prompt generator reads score maps of shape [images, rows, columns], got "
            f"{list(scores.shape)}: add or drop dimensions"
        )
    scores = scores.float()
    if not bool(scores.isfinite().all()):
        raise ScoreMapError("the score map holds NaN or infinite values: replace them before proposing boxes")
    return scores


def overlap_of_smaller(boxes: Tensor) -> Tensor:
    """Computes the pairwise intersection over the area of the smaller box.

    Args:
        boxes: Float `[N, 4]`, `xyxy`.

    Returns:
        Float `[N, N]` in 0..1, symmetric; 1 where one box lies in the other, 0 for boxes without area.
    """
    corner = boxes[:, None, :2].maximum(boxes[None, :, :2])
    opposite = boxes[:, None, 2:].minimum(boxes[None, :, 2:])
    intersection = (opposite - corner).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
    smaller = area[:, None].minimum(area[None, :])
    return (intersection / smaller.clamp(min=1e-9)).clamp(max=1.0)


def middle_score(score: Tensor, boxes: Tensor) -> Tensor:
    """Computes the mean score in the middle of each box: in 0.6 of its width and height.

    The margin of a box around anything but a box is background.

    Args:
        score: Float `[H, W]`.
        boxes: Float `[N, 4]`, `xyxy`, in pixels of the map.

    Returns:
        Float `[N]`.
    """
    import torch

    import_torchvision()
    from torchvision.ops import roi_align

    corner, opposite = boxes[:, :2], boxes[:, 2:]
    middle, reach = (corner + opposite) / 2, (opposite - corner) / 2 * _MIDDLE
    inner = torch.cat([middle - reach, middle + reach], 1)
    cells: Tensor = roi_align(score[None, None].float(), [inner], _CELLS, sampling_ratio=2, aligned=True)
    return cells.mean((1, 2, 3))


def suppress_nested(boxes: Tensor, share: float) -> Tensor:
    """Drops every box that lies in, or covers, a more confident one.

    Plain non-maximum suppression keeps a part of an object beside the whole (their IoU is small); the
    mask of a doubtful part would then drag the confidence of the whole object down, as where masks
    overlap the lowest confidence wins (S2M, CVPR 2024, Sec. 3).

    Args:
        boxes: Float `[N, 4]`, `xyxy`, most confident first.
        share: A box goes when it and a kept one overlap in more than this share, 0..1, of the smaller.

    Returns:
        Int64 indices of the boxes that stay, ascending.
    """
    import torch

    clash = (overlap_of_smaller(boxes) > share).cpu().numpy()
    kept: list[int] = []
    for index in range(len(boxes)):
        if not clash[index, kept].any():
            kept.append(index)
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def as_prompts(boxes: Tensor, confidence: Tensor, limit: int) -> BoxPrompts:
    """Sorts boxes by confidence, keeps the first `limit`, and hands them over detached in float32.

    Args:
        boxes: Float `[N, 4]`, `xyxy`.
        confidence: Float `[N]` in 0..1, any order.
        limit: Most boxes per image.
    """
    confidence, order = confidence.detach().float().sort(descending=True, stable=True)
    return BoxPrompts(boxes.detach().float()[order[:limit]], confidence[:limit])
