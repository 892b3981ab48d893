"""Compares two images by the cosine similarity of a segmenter's intermediate features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmenter
from oodseg.nn.tensors import resize, to_multiple
from oodseg.segmenters.street import STRIDE, StreetNet


def feature_stages(segmenter: Segmenter, images: Tensor) -> list[Tensor]:
    """Computes the intermediate features of a segmenter, coarse to fine.

    Args:
        segmenter: The street network gives its decoder's three stages; any other its last features.
        images: Float `[B, 3, H, W]` in 0..1.

    Returns:
        Float `[B, D, h, w]` each, of any resolution covering the image.

    Raises:
        ConfigError: The segmenter gives no features.
    """
    if isinstance(segmenter, StreetNet):
        return segmenter.features(to_multiple(images, STRIDE))[:3]
    features = segmenter.segment(images).features
    if features is None:
        raise ConfigError(
            f"the segmenter {segmenter.name} gives no features to compare images by: choose one that "
            "does, such as street, segformer or upernet"
        )
    return [features]


def cosine_similarity(one: list[Tensor], other: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Computes the cosine similarity of two images' features at every pixel, mean over stages.

    Args:
        one: `feature_stages` of one image.
        other: Those of the other, which has the same size.
        size: Height and width of the result.

    Returns:
        Float32 `[B, H, W]` in -1..1.
    """
    stages = [
        F.cosine_similarity(ours.float(), theirs.float(), dim=1)[:, None]
        for ours, theirs in zip(one, other, strict=True)
    ]
    full = [resize(each, size)[:, 0] for each in stages]
    return torch.stack(full).mean(0)
