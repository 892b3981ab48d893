"""Samples of a comparator's training: cached predictions beside the truth, by number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from oodseg.metrics.failure import image_dice, image_iou
from oodseg.training.comparator_cache import Predicted, read_cached
from oodseg.training.labelled import random_light

# Image, re-synthesis [3, H, W], probabilities [C, H, W], labels, truth [H, W], quality [C].
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class CachedMaker:
    """Makes numbered training samples from cached predictions.

    Args:
        paths: Files of `build_cache`; each is equally likely.
        exposed: Files with unknown objects; may be none.
        exposure: How often one of them comes up.
        seed: With the number, all that a sample depends on.
        light: How far brightness and contrast change; see `random_light`.
        dice: Whether quality is Dice instead of IoU.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        exposed: Sequence[Path] = (),
        *,
        exposure: float,
        seed: int,
        light: float,
        dice: bool,
    ) -> None:
        self.paths, self.exposed = paths, exposed
        self.exposure, self.seed, self.light, self.dice = exposure, seed, light, dice

    def __call__(self, index: int) -> Batch:
        """A sample, mirrored and lit at random."""
        rng = np.random.default_rng((self.seed, index))
        paths = self.exposed if self.exposed and rng.random() < self.exposure else self.paths
        found = read_cached(paths[int(rng.integers(len(paths)))])
        if rng.random() < 0.5:
            found = found.mirrored()
        light = random_light(found.image, rng, self.light)
        return as_sample(Predicted(**{**vars(found), "image": light}), self.dice)


def as_sample(found: Predicted, dice: bool) -> Batch:
    """Makes the comparator's input: maps as uint8 tensors; quality float32, NaN where a class is absent."""
    measure = image_dice if dice else image_iou
    quality = measure(found.labels, found.truth, found.probabilities.shape[2]).astype(np.float32)
    planes = [found.image, found.resynthesis, found.probabilities]
    image, resynthesis, shares = (
        torch.from_numpy(np.ascontiguousarray(each.transpose(2, 0, 1))) for each in planes
    )
    return (
        image,
        resynthesis,
        shares,
        torch.from_numpy(found.labels),
        torch.from_numpy(found.truth),
        torch.from_numpy(quality),
    )
