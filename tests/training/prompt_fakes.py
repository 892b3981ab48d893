"""Stand-ins for scenes and detector: smooth noise as score, blobs where something is unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.parts import Detector, Sight
from oodseg.detectors import ScoreNormalizer
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.scene_cache import cache_scenes
from oodseg.training.score_cache import cache_scores
from oodseg.training.score_source import DetectorScores

TINY = {
    "sizes": [(48, 64)],
    "scenes": 8,
    "val_scenes": 8,
    "max_steps": 2,
    "batch_size": 2,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "warmup_from": 1e-4,
    "warmup_steps": 1,
    "weight_decay": 1e-2,
    "val_every_steps": 2,
    "workers": 0,
}


@dataclass
class FakeScene:
    image: NDArray[np.uint8]
    unknown: NDArray[np.uint8]


def smooth(rng: np.random.Generator, size: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    field = cv2.GaussianBlur(rng.standard_normal(size).astype(np.float32), (0, 0), sigma)
    return field / field.std()


class FakeSampler:
    """Ellipses with holes in their score, on clouds; every fifth scene is empty."""

    def __init__(self, size: tuple[int, int] = (96, 128)) -> None:
        self.size = size

    def sample(self, rng: np.random.Generator) -> FakeScene:
        height, width = self.size
        unknown = np.zeros(self.size, np.uint8)
        score = smooth(rng, self.size, 5) * 0.7 + smooth(rng, self.size, 1) * 0.5
        count = 0 if rng.random() < 0.2 else int(rng.integers(1, 4))
        for index in range(1, count + 1):
            axes = np.exp(rng.uniform(np.log(4), np.log(height / 3), 2)).astype(int)
            centre = int(rng.integers(0, width)), int(rng.integers(0, height))
            blob = np.zeros(self.size, np.uint8)
            cv2.ellipse(blob, centre, (int(axes[0]), int(axes[1])), 0, 0, 360, 1, -1)
            unknown[blob > 0] = index
            holes = smooth(rng, self.size, 6) > 0.8
            score += 4.0 * cv2.GaussianBlur((blob * ~holes).astype(np.float32), (0, 0), 1.5)
        grey = np.clip(score * 16 + 64, 0, 255).astype(np.uint8)
        return FakeScene(np.repeat(grey[..., None], 3, axis=2), unknown)


class FakeDetector(Detector):
    """Reads two scores of other ranges off the grey value, and shows means of cells as features."""

    name = "fake"
    zoom = 2

    def __init__(self, mean: float = 0.25, features: bool = True) -> None:
        self.mean, self.features, self.seen = mean, features, set()
        self.normalizer = ScoreNormalizer(mean, 1 / 16)

    def score(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0]

    def look(self, images: torch.Tensor, zoom: int = 1) -> Sight:
        self.seen.add((zoom, *images.shape[-2:]))
        small = torch.nn.functional.avg_pool2d(images, zoom)
        levels = [torch.nn.functional.avg_pool2d(small, stride, ceil_mode=True) for stride in (8, 16)]
        features = (levels[0], torch.cat([levels[1], levels[1][:, :2]], dim=1))
        return Sight(small[:, 0], features if self.features else None)

    def further_scores(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"energy": ScoreNormalizer(-2.5, 0.5)(images[:, 0] * 6 - 4)}


def fill(
    detector: FakeDetector, samplers: Sequence[tuple[FakeSampler, int]], count: int, out: Path, seed: int = 0
) -> None:
    """Makes scenes beside `out`, and their score maps in it; each sampler comes with its zoom."""
    scenes = out.with_name(f"{out.name}-scenes")
    cache_scenes([sampler for sampler, _ in samplers], count, scenes, seed)
    cache_scores(DetectorScores(detector), "train", scenes, [zoom for _, zoom in samplers], count, out)


def fill_run(folder: Path) -> Path:
    """Makes the score maps that a run of `TINY` learns and validates on."""
    for split, seed in (("train", 0), ("val", 1)):
        fill(FakeDetector(), [(FakeSampler((48, 64)), 1)], 8, folder / f"scores-{split}", seed)
    return folder


def with_features(**changes) -> PromptRecipe:
    return PromptRecipe(**{**TINY, "features": True, **changes})
