"""Raises an anomaly score inside the outlines of objects and lowers it outside.

The pixel-wise figures of S2M (CVPR 2024, Table 3) are of its confidence map, in which all pixels outside
masks are alike: an object that got no box is lost for any threshold. A gated score keeps their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodseg.core.normalization import HIGHEST, LOWEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Standard deviations of the score between a pixel of a certain object and one outside all masks. On drawn
# scenes anything from 4 to 24 is alike.
GAIN = 8.0
# What a gated score lies between.
GATED_LOWEST, GATED_HIGHEST = LOWEST - GAIN / 2, HIGHEST + GAIN / 2


def gate_score(score: NDArray[np.float32], confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Adds to a score what the outlines of objects say: half of `GAIN` in a certain one, else minus as much.

    Args:
        score: Normalised anomaly score, float32 `[h, w]`, of any resolution.
        confidence: Confidence per pixel, float32 `[H, W]` in 0..1, 0 where there is no object.

    Returns:
        Float32 `[H, W]`; where there is no object at all, in the order of the score.
    """
    import cv2
    import numpy as np

    height, width = confidence.shape
    full = score
    if score.shape != confidence.shape:
        full = cv2.resize(score, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full + np.float32(GAIN) * (confidence - np.float32(0.5)), np.float32)
