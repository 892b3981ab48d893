"""The contract of every detector: picture in, anomaly score per pixel out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.detectors.normalization import ScoreNormalizer


@runtime_checkable
class Detector(Protocol):
    """Gives every pixel an anomaly score; higher means more anomalous.

    One that has `detail` above 0 and `score_detailed` besides, as `StreetDetector` has, is shown large
    pictures at twice the working size.

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
