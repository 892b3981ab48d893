"""The baseline without training: blobs of high score, one box each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError
from oodseg.core.parts import BoxPrompts, PromptGenerator
from oodseg.prompts.geometry import as_prompts, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor


class ComponentPrompts(PromptGenerator):
    """Tightest boxes around the 8-connected components of a thresholded score map.

    This is what S2M (CVPR 2024) is meant to replace: it needs a threshold, splits objects whose score
    has holes, and joins neighbours. The confidence is the logistic function of the component's mean
    score above the threshold, so 0.5 at the threshold and near 1 some standard deviations over it.

    Args:
        threshold: On the normalised score, in standard deviations of in-distribution pixels.
        min_area: Smallest component in pixels of the score map.
        max_boxes: Most boxes per image; the most confident stay.
    """

    name = "components"

    def __init__(self, threshold: float = 3.0, min_area: int = 50, max_boxes: int = 100) -> None:
        if min_area < 1 or max_boxes < 1:
            raise ConfigError(f"min_area ({min_area}) and max_boxes ({max_boxes}) must be at least 1")
        self.threshold = threshold
        self.min_area = min_area
        self.max_boxes = max_boxes

    def propose(
        self, scores: Tensor, features: Sequence[Tensor] | None = None, operating_point: str | float = "quiet"
    ) -> list[BoxPrompts]:
        """Proposes boxes from the score alone; see `PromptGenerator.propose`.

        Raises:
            ScoreMapError: Scores of a wrong shape or not finite.
        """
        return [self._one(each) for each in checked(scores).cpu().numpy()]

    def _one(self, score: np.ndarray[Any, Any]) -> BoxPrompts:
        import cv2
        import numpy as np
        import torch

        above = (score > self.threshold).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
        area = stats[:, cv2.CC_STAT_AREA]
        mean = np.bincount(labels.ravel(), weights=score.ravel(), minlength=count) / np.maximum(area, 1)
        keep = np.flatnonzero(area >= self.min_area)
        keep = keep[keep != 0]  # component 0 is the background
        x, y, width, height = stats[keep, :4].T
        boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
        confidence = torch.from_numpy(mean[keep] - self.threshold).sigmoid()
        return as_prompts(torch.from_numpy(boxes), confidence, self.max_boxes)
