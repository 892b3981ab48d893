"""The plainest promptable segmenter: the object is its box. The floor that others are measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from oodseg.core.parts import PromptableSegmenter
from oodseg.masks.cleanup import box_pixels

if TYPE_CHECKING:
    from torch import Tensor


class BoxSegmenter(PromptableSegmenter):
    """Fills every box, rounded outwards to whole pixels and clipped to the picture."""

    name = "box"

    def embed(self, image: Tensor) -> tuple[int, int]:
        """Keeps the height and width of a picture, float32 `[3, H, W]`."""
        return image.shape[1], image.shape[2]

    def segment(self, embedding: tuple[int, int], boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Fills each box; see `PromptableSegmenter.segment`. A box outside the picture is empty."""
        masks = torch.zeros((len(boxes), *embedding), dtype=torch.bool)
        for mask, box in zip(masks, boxes.tolist(), strict=True):
            mask[box_pixels(box, *embedding)] = True
        return masks.to(boxes.device)
