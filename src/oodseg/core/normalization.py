"""Brings anomaly scores of any range to one scale, from statistics of in-distribution images.

The paper's prompt generator reads raw scores and needed a hand-set factor of 20 when the score
changed (S2M, CVPR 2024, Sec. 6). Here mean and standard deviation over in-distribution pixels are
fitted once and kept with the detector, so that one generator serves every score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodseg.core.errors import ScoreMapError

if TYPE_CHECKING:
    from torch import Tensor

LOWEST, HIGHEST = -4.0, 16.0  # normalised scores


@dataclass(frozen=True)
class ScoreNormalizer:
    """Affine map `(score - mean) / std`, clamped to -4..16 so that an outlier cannot blind the generator.

    Attributes:
        mean: Mean score over in-distribution pixels.
        std: Standard deviation over in-distribution pixels, > 0.
    """

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ScoreMapError(
                f"score statistics must be finite with std > 0, got mean {self.mean} and std {self.std}: "
                "fit them on images whose scores vary"
            )

    def __call__(self, scores: Tensor) -> Tensor:
        """Normalises scores of any shape; returns float32 of the same shape."""
        import torch

        # In 64 bits where they came so: the mean may be large beside their differences.
        values = scores if scores.dtype == torch.float64 else scores.float()
        return ((values - self.mean) / self.std).clamp(LOWEST, HIGHEST).float()

    @classmethod
    def fit(cls, score_maps: Iterable[Tensor]) -> ScoreNormalizer:
        """Fits mean and standard deviation over all finite pixels, one map at a time.

        Args:
            score_maps: Float maps of any shape; non-finite pixels are left out.

        Raises:
            ScoreMapError: No finite pixel, or all of one value.
        """
        import torch

        count, mean, m2, seen = 0, 0.0, 0.0, 0
        for raw in score_maps:
            values = raw[torch.isfinite(raw)].double()
            n = values.numel()
            seen += raw.numel()
            if n == 0:
                continue
            # Chan et al. 1979: pairwise update, exact however many maps follow.
            batch_mean = values.mean().item()
            batch_m2 = ((values - batch_mean) ** 2).sum().item()
            delta = batch_mean - mean
            total = count + n
            mean += delta * n / total
            m2 += batch_m2 + delta * delta * count * n / total
            count = total
        if seen and not count:
            raise ScoreMapError(
                "cannot fit score statistics: all scores are NaN or infinite, so what made them has failed; "
                "look for NaN in its weights, and for overflow in half precision"
            )
        std = math.sqrt(m2 / count) if count else 0.0
        if not std > 0 or not math.isfinite(std):
            raise ScoreMapError(
                "cannot fit score statistics: the score maps hold no finite, varying values; "
                "check that the maps are anomaly scores and not labels or constants"
            )
        return cls(mean, std)
