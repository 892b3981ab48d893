"""Score files in place of a pipeline's detector: what the paper calls "method + S2M"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.normalization import ScoreNormalizer
from oodseg.data import Frame
from oodseg.evaluation.sources import FolderSource, images_of
from oodseg.io.score_statistics import measure_scores

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction


class OutlinedScores:
    """Predicts images from score files.

    Args:
        scores: The files.
        pipeline: Called with an image's path, `score_map` and `score_normalizer`, as an `S2M` is.
        frames: The frames that the files belong to.
        normalizer: Statistics of such scores on ordinary images; None to take those of the files.

    Attributes:
        name: How the row is called.
        normalizer: Statistics of such scores on ordinary images, or, for want of these, of the files.
        paths: The files, one per frame.

    Raises:
        DatasetError: A frame without an image.
        ScoreMapError: No usable map.
    """

    def __init__(
        self,
        scores: FolderSource,
        pipeline: Callable[..., Prediction],
        frames: Sequence[Frame],
        normalizer: ScoreNormalizer | None = None,
    ) -> None:
        self.name = f"{scores.name} + S2M"
        self.normalizer = normalizer or measure_scores(scores.paths).normalizer
        self.paths = scores.paths
        self._pipeline = pipeline
        self._maps = dict(zip(images_of(frames), scores.paths, strict=True))

    def __call__(self, image: Path) -> Prediction:
        """Finds and outlines the objects of an image; without the score map, which is on disk already."""
        found = self._pipeline(image, score_map=self._maps[image], score_normalizer=self.normalizer)
        return replace(found, score=None)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON-able: what the results depend on, besides files and pipeline."""
        return {"mean": self.normalizer.mean, "std": self.normalizer.std}
