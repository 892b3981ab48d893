"""Methods that train the heads of a mask classifier."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from oodseg.core.parts import MaskQueries, Segmenter
from oodseg.detectors.taught_queries import Mask2AnomalyDetector, QueryDetector, RbaDetector, SeenQueries
from oodseg.nn.taught import TaughtDetector
from oodseg.training.exposure.method import Method, Parts
from oodseg.training.exposure.recipe import Mask2AnomalyRecipe, QueryRecipe, RbaRecipe
from oodseg.training.exposure.truth import Truth
from oodseg.training.losses.mask2anomaly import mask2anomaly
from oodseg.training.losses.mask_targets import mask_targets
from oodseg.training.losses.rba import rba

QueryRecipeT = TypeVar("QueryRecipeT", bound=QueryRecipe)


class _OnQueries(Method[QueryRecipeT]):
    """One that trains a mask classifier's heads, with its own losses beside that on outliers."""

    detector_class: ClassVar[type[QueryDetector]]

    def new_detector(self, segmenter: Segmenter) -> QueryDetector:
        """See `Method.new_detector`."""
        return self.detector_class(segmenter, self.recipe.smooth or 0.0)

    @abstractmethod
    def outlier_losses(self, scores: Tensor, truth: Truth) -> Parts:
        """Computes the loss on the detector's scores `[B, h, w]`."""

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenQueries, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`; images of which no class is known take no part in Mask2Former's own."""
        assert isinstance(detector, QueryDetector)  # `new_detector` built it
        queries = detector.queries(seen)
        outside = self.outlier_losses(detector.rate(queries), truth)
        parts = {name: self.recipe.outlier_weight * each for name, each in outside.items()}
        masks, classes = mask_targets(truth.labels, truth.outlier)
        known = [index for index, each in enumerate(classes) if len(each)]
        if known:
            shown = MaskQueries(queries.classes[known], queries.masks[known])
            targets = ([each[index] for index in known] for each in (masks, classes))
            own = detector.segmenter.mask_losses(shown, *targets)
            parts |= {name: self.recipe.mask_weight * each for name, each in own.items()}
        return parts


class Mask2Anomaly(_OnQueries[Mask2AnomalyRecipe]):
    """See `oodseg.detectors.taught_queries`."""

    recipe_class, detector_class = Mask2AnomalyRecipe, Mask2AnomalyDetector

    def outlier_losses(self, scores: Tensor, truth: Truth) -> Parts:
        """See `_OnQueries.outlier_losses`."""
        return mask2anomaly(scores, truth.inlier, truth.outlier, self.recipe.margin)


class Rba(_OnQueries[RbaRecipe]):
    """See `oodseg.detectors.taught_queries`."""

    recipe_class, detector_class = RbaRecipe, RbaDetector

    def outlier_losses(self, scores: Tensor, truth: Truth) -> Parts:
        """See `_OnQueries.outlier_losses`."""
        return rba(scores, truth.outlier, self.recipe.target)
