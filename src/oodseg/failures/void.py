"""Pixels of labels from elsewhere that have no class: the code 255, which is not judged."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.taxonomy import IGNORE


def void_in(labels: Tensor, classes: int) -> Tensor | None:
    """Finds the pixels without a class, bool `[H, W]`; None if all have one.

    Args:
        labels: Integers `[H, W]`.
        classes: How many there are; with more than 255 the code is a class.

    Raises:
        ConfigError: No pixel has a class.
    """
    if classes > IGNORE:
        return None
    void: Tensor = labels == IGNORE
    if void.all():
        raise ConfigError("the labels hold nothing but void: there is nothing to judge")
    return void if bool(void.any()) else None


def fill_void(labels: Tensor, void: Tensor) -> Tensor:
    """Gives void pixels the label of the nearest pixel that has one, for what takes labels everywhere."""
    holes = void.cpu().numpy().astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(holes, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    known = labels.cpu().numpy()
    by_place = np.zeros(int(nearest.max()) + 1, known.dtype)
    by_place[nearest[holes == 0]] = known[holes == 0]
    return torch.from_numpy(by_place[nearest]).to(labels.device)
