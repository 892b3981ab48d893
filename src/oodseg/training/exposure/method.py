"""Defines a method: what is built around a segmenter, and by which loss it learns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn

from oodseg.core.parts import Segmenter
from oodseg.nn.taught import TaughtDetector
from oodseg.training.exposure.recipe import ExposureRecipe
from oodseg.training.exposure.truth import Truth

RecipeT = TypeVar("RecipeT", bound=ExposureRecipe)
Parts = dict[str, Tensor]


class Method(ABC, Generic[RecipeT]):
    """A way to teach a detector.

    Args:
        recipe: The settings.

    Attributes:
        recipe_class: Of its recipes.
    """

    recipe_class: ClassVar[type[ExposureRecipe]]

    def __init__(self, recipe: RecipeT) -> None:
        self.recipe = recipe

    @abstractmethod
    def new_detector(self, segmenter: Segmenter) -> TaughtDetector[Any]:
        """Builds the untrained detector.

        Raises:
            ConfigError: The segmenter does not give what the method needs.
        """

    def new_companion(self, detector: TaughtDetector[Any]) -> nn.Module | None:
        """Builds what is trained beside the head and is no part of the detector; by default nothing."""
        return None

    def prepare(self, seen: Iterable[tuple[Any, Truth]]) -> None:
        """Takes what it needs to know of the frozen network, from a few batches; by default nothing."""

    @abstractmethod
    def losses(
        self, detector: TaughtDetector[Any], seen: Any, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """Computes the parts of the loss, which is their sum.

        Args:
            detector: The detector in training.
            seen: What its `see` returned.
            truth: The same pixels' truth.
            companion: What `new_companion` built.
        """
