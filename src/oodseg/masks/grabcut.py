"""Outlines by GrabCut: no weights at all, only the colours inside and around each box.

Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004, as in OpenCV. Its cost follows the crop's
area, so it works on a reduced crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from oodseg.core.errors import ConfigError
from oodseg.core.parts import PromptableSegmenter
from oodseg.masks.cleanup import box_pixels, drop_strays
from oodseg.masks.crops import crop_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_CONTEXT = 2.0
# Below this share of its box, GrabCut has given the object's colours to the background.
_SMALLEST_SHARE = 0.05


class GrabCutSegmenter(PromptableSegmenter):
    """GrabCut on a crop of twice the box; the filled box where that yields nothing usable.

    Args:
        longest: Long side in pixels to which larger crops are reduced, >= 16.
        iterations: Rounds of GrabCut, >= 1.

    Raises:
        ConfigError: An argument is too small.
    """

    name = "grabcut"

    def __init__(self, longest: int = 160, iterations: int = 5) -> None:
        if longest < 16 or iterations < 1:
            raise ConfigError(
                "grabcut: longest must be at least 16 and iterations at least 1, "
                f"got {longest} and {iterations}"
            )
        self.longest = longest
        self.iterations = iterations

    def embed(self, image: Tensor) -> NDArray[np.uint8]:
        """Turns an image, float32 `[3, H, W]` in 0..1, into uint8 `[H, W, 3]`."""
        return (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()

    def segment(self, embedding: NDArray[np.uint8], boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box; see `PromptableSegmenter.segment`. Scores are not used."""
        height, width = embedding.shape[:2]
        masks = np.zeros((len(boxes), height, width), dtype=np.bool_)
        boxes = boxes.float()
        for target, box, region in zip(
            masks, boxes.tolist(), crop_regions(boxes, _CONTEXT).tolist(), strict=True
        ):
            inside = box_pixels(box, height, width)
            around = box_pixels(region, height, width)
            target[inside] = True
            top, left = around[0].start, around[1].start
            local = (
                slice(inside[0].start - top, inside[0].stop - top),
                slice(inside[1].start - left, inside[1].stop - left),
            )
            cut = self._cut(embedding[around], local)
            if cut is not None:
                target[around] = cut
        return torch.from_numpy(masks).to(boxes.device)

    def _cut(self, crop: NDArray[np.uint8], box: tuple[slice, slice]) -> NDArray[np.bool_] | None:
        """The object in a crop, bool of the crop's size; none where GrabCut finds nothing usable."""
        import cv2

        height, width = crop.shape[:2]
        trimap = np.full((height, width), cv2.GC_BGD, np.uint8)
        trimap[box] = cv2.GC_PR_FGD
        expected = int((trimap == cv2.GC_PR_FGD).sum())
        scale = self.longest / max(height, width, 1)
        if scale < 1:
            small = max(1, round(width * scale)), max(1, round(height * scale))
            crop = cv2.resize(crop, small, interpolation=cv2.INTER_AREA)
            trimap = cv2.resize(trimap, small, interpolation=cv2.INTER_NEAREST)
        if not (trimap == cv2.GC_BGD).any() or not (trimap == cv2.GC_PR_FGD).any():
            return None  # No colours to tell the object from, as where the box is the whole image.
        cv2.setRNGSeed(0)  # GrabCut starts from random clusters.
        models = np.zeros((1, 65)), np.zeros((1, 65))
        try:
            cv2.grabCut(crop, trimap, None, *models, self.iterations, cv2.GC_INIT_WITH_MASK)
        except cv2.error:
            return None  # Too few pixels for its colour clusters.
        found = (trimap == cv2.GC_PR_FGD).astype(np.float32)
        if scale < 1:
            found = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR)
        mask = drop_strays(found > 0.5, box)
        return mask if mask.sum() >= _SMALLEST_SHARE * expected else None
