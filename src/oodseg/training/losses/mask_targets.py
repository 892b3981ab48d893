"""Labels as masks, for the losses of mask classifiers."""

from __future__ import annotations

import torch
from torch import Tensor

from oodseg.core.taxonomy import IGNORE


def mask_targets(labels: Tensor, outlier: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Lists the classes of each image with a mask for each of them.

    Args:
        labels: int64 `[B, h, w]`, `IGNORE` where no class is known.
        outlier: Bool `[B, h, w]`: in no mask.

    Returns:
        For each image float `[N, h, w]` and int64 `[N]`; N is 0 where no class is known.
    """
    seen = torch.where(outlier, IGNORE, labels)
    classes = [each[each != IGNORE].unique() for each in seen]
    return [
        (each == found[:, None, None]).float() for each, found in zip(seen, classes, strict=True)
    ], classes
