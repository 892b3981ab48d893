"""Draws the mask of one crop into the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodseg.masks.cleanup import box_pixels, drop_strays
from oodseg.masks.crops import paste_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def draw_mask(
    target: NDArray[np.bool_], logits: NDArray[np.float32], box: Sequence[float], region: Sequence[float]
) -> None:
    """Writes one mask, logit above 0, into an image; the filled box where that is empty.

    Args:
        target: Bool `[H, W]`, written to.
        logits: Float32 `[size, size]` over `region`.
        box: The prompt, `xyxy` in pixels of the image.
        region: What the crop covers, likewise.
    """
    x0, y0, x1, y1 = region
    inside = box_pixels(box, *target.shape)
    rows, columns, pasted = paste_logits(logits, (x0, y0, x1, y1), *target.shape)
    if inside[0].stop and pasted.size:
        local = (
            slice(max(inside[0].start - rows.start, 0), inside[0].stop - rows.start),
            slice(max(inside[1].start - columns.start, 0), inside[1].stop - columns.start),
        )
        mask = drop_strays(pasted > 0, local)
        if mask.any():
            target[rows, columns] = mask
            return
    target[inside] = True
