"""Samples of the street network's training: batches of outlier-exposure scenes, each made from its number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodseg.core.taxonomy import IGNORE
from oodseg.synth.mix import Mix
from oodseg.synth.scenes import Scene, SceneSampler

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class BatchMaker:
    """Number to batch: the sizes take turns; everything depends on seeds and number alone.

    Args:
        root: Folder of the training data.
        sizes: Height and width of the scenes.
        batch_size: Scenes of the first size per batch; of larger ones as many fewer as they are larger.
        split: `"train"` or `"val"`.
        seeds: Of the samplers, and of the scenes.
        mix: Composition of the scenes.
    """

    def __init__(
        self,
        root: Path,
        sizes: Sequence[tuple[int, int]],
        batch_size: int,
        split: str,
        seeds: tuple[int, int],
        mix: Mix,
    ) -> None:
        self.makers = [SceneMaker(SceneSampler(root, size, split, seeds[0], mix), seeds[1]) for size in sizes]
        areas = [height * width for height, width in sizes]
        # Never fewer than two: batch norm needs them.
        self.counts = [max(2, round(batch_size * areas[0] / area)) for area in areas]

    def __call__(self, number: int) -> Batch:
        """Images, labels, unknown and weights, each stacked."""
        which = number % len(self.makers)
        first = number * max(self.counts)
        samples = [self.makers[which](first + index) for index in range(self.counts[which])]
        images, labels, unknown, weights = (torch.stack(part) for part in zip(*samples, strict=True))
        return images, labels, unknown, weights


class SceneMaker:
    """Number to sample. Everything depends on seed and number alone."""

    def __init__(self, sampler: SceneSampler, seed: int) -> None:
        self.sampler, self.seed = sampler, seed

    def __call__(self, index: int) -> Batch:
        """Image uint8 `[3, H, W]`, labels and unknown uint8 `[H, W]`, weights float32 `[H, W]`."""
        scene = self.sampler.sample(np.random.default_rng((self.seed, index)))
        image = torch.from_numpy(np.ascontiguousarray(scene.image.transpose(2, 0, 1)))
        weights = torch.from_numpy(pixel_weights(scene))
        return image, torch.from_numpy(scene.labels), torch.from_numpy(scene.unknown), weights


def pixel_weights(scene: Scene) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Computes the weight of each pixel in the objectness loss: float32 `[H, W]`.

    Small objects count more (up to fourfold), or the large ones would be all that is learned; the
    background of natural images counts less, for it holds things nobody marked.
    """
    table = np.ones(256, np.float32)
    area = np.bincount(scene.unknown.ravel(), minlength=256)
    table[1:IGNORE] = np.clip(np.sqrt(900 / np.maximum(area[1:IGNORE], 1)), 1, 4)
    if scene.kind == "natural":
        table[0] = 0.75
    table[IGNORE] = 0
    weights: np.ndarray[Any, np.dtype[np.float32]] = table[scene.unknown]
    return weights
