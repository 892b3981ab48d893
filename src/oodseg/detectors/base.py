"""The contract of every detector: picture in, anomaly score per pixel out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.detectors.normalization import ScoreNormalizer


@dataclass(frozen=True)
class Sight:
    """What a detector made of a batch of images.

    Attributes:
        scores: Float32 `[B, H, W]`, as `Detector.score` gives them.
        features: What lies behind the scores, for a prompt generator that reads it: float maps
            `[B, C, H / stride, W / stride]`, finest first; None where the detector shows none.
    """

    scores: Tensor
    features: tuple[Tensor, ...] | None = None


@runtime_checkable
class Detector(Protocol):
    """Gives every pixel an anomaly score; higher means more anomalous.

    Attributes:
        name: Key in `DETECTORS`.
        normalizer: Statistics of the score on in-distribution pictures, fitted once.
    """

    name: str
    normalizer: ScoreNormalizer

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments: `DETECTORS[name](**config)` rebuilds the detector."""
        ...

    def score(self, images: Tensor) -> Tensor:
        """Scores a batch.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, any size.

        Returns:
            Float32 `[B, H, W]`, finite, higher = more anomalous, any range (not normalised).
        """
        ...
