"""The bundled detector: objectness beside the uncertainty of the street network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.detectors.normalization import ScoreNormalizer
from oodseg.detectors.scores import energy, entropy
from oodseg.devices import fast_autocast
from oodseg.errors import ConfigError
from oodseg.segmenters.street import STRIDE, StreetNet, pad_to_stride

MAIN = "combined"


class StreetDetector(nn.Module):
    """Scores "a thing, and none that I know": a weighted sum of objectness, entropy and energy.

    Each of the three is brought to mean 0 and standard deviation 1 on in-distribution pictures before
    they are added.

    Args:
        network: Settings of `StreetNet`.
        combination: Weight of `"objectness"`, `"entropy"` and `"energy"` in the shipped score.
        statistics: Mean and standard deviation on in-distribution pictures of each of the three and of
            `"combined"`.
        reductions: Whole factors by which the picture is reduced before the network looks at it, once for
            each; what it says is averaged. A reduced picture shows large objects whole and costs little.
    """

    name = "street"

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        combination: Mapping[str, float] | None = None,
        statistics: Mapping[str, Sequence[float]] | None = None,
        reductions: Sequence[int] = (1,),
    ) -> None:
        super().__init__()
        if not reductions or min(reductions) < 1:
            raise ConfigError(f"the street detector needs reductions of at least 1, not {list(reductions)}")
        self.reductions = tuple(reductions)
        self.network = StreetNet(**(network or {})).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.combination = dict(combination or {"objectness": 1.0})
        self.channel_normalizers = {name: ScoreNormalizer(*pair) for name, pair in (statistics or {}).items()}
        for name in ("objectness", "entropy", "energy", MAIN):
            self.channel_normalizers.setdefault(name, ScoreNormalizer())
        self.eval()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able."""
        return {
            "network": self.network.config,
            "combination": self.combination,
            "statistics": {name: [each.mean, each.std] for name, each in self.channel_normalizers.items()},
            "reductions": list(self.reductions),
        }

    @property
    def normalizer(self) -> ScoreNormalizer:
        """Statistics of the shipped score on in-distribution pictures."""
        return self.channel_normalizers[MAIN]

    @normalizer.setter
    def normalizer(self, value: ScoreNormalizer) -> None:
        self.channel_normalizers[MAIN] = value

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        parts = self._parts(images)
        return self._to_size(self._combine(parts), images)

    @torch.inference_mode()
    def score_channels(self, images: Tensor) -> dict[str, Tensor]:
        """All scores of a batch, raw, each float32 `[B, H, W]`: the shipped `"combined"` first."""
        parts = self._parts(images)
        scores = {MAIN: self._combine(parts), **parts}
        return {name: self._to_size(score, images) for name, score in scores.items()}

    def _parts(self, images: Tensor) -> dict[str, Tensor]:
        """Objectness, entropy and energy, `[B, h, w]` at half the padded size; means over the reductions."""
        padded = pad_to_stride(images, STRIDE * math.lcm(*self.reductions))
        half = [side // 2 for side in padded.shape[-2:]]
        found = [self._look(padded, factor, half) for factor in self.reductions]
        return {name: sum(each[name] for each in found) / len(found) for name in found[0]}  # type: ignore[misc]

    def _look(self, padded: Tensor, factor: int, size: Sequence[int]) -> dict[str, Tensor]:
        """Objectness, entropy and energy of the picture reduced by `factor`, brought to `size`."""
        if factor > 1:
            padded = F.avg_pool2d(padded, factor)
        with fast_autocast(padded.device):
            logits, objectness = self.network(padded)
        logits = logits.float()
        found = {"entropy": _resize(entropy(logits), size), "energy": _resize(energy(logits), size)}
        if objectness is not None:
            found = {"objectness": _resize(objectness.float(), size), **found}
        return found

    def _combine(self, parts: Mapping[str, Tensor]) -> Tensor:
        total: Tensor | None = None
        for name, weight in self.combination.items():
            if weight:
                term = weight * self.channel_normalizers[name](parts[name])
                total = term if total is None else total + term
        return next(iter(parts.values())) if total is None else total

    @staticmethod
    def _to_size(score: Tensor, images: Tensor) -> Tensor:
        padded = [side * 2 for side in score.shape[-2:]]
        height, width = images.shape[-2:]
        return _resize(score, padded)[:, :height, :width].float()


def _resize(score: Tensor, size: Sequence[int]) -> Tensor:
    if list(score.shape[-2:]) == list(size):
        return score
    return F.interpolate(score[:, None], list(size), mode="bilinear", align_corners=False)[:, 0]
