"""Lists the methods; those of mask classifiers are in `query_methods`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmenter
from oodseg.detectors.densehybrid import DenseHybridDetector
from oodseg.detectors.energy_margin import EnergyMarginDetector
from oodseg.detectors.exposed import ExposedDetector, SeenFeatures
from oodseg.detectors.meta_ood import MetaOodDetector
from oodseg.detectors.pebal import PebalDetector
from oodseg.detectors.rpl import RplDetector
from oodseg.failures.synboost import SeenTwice, SynBoostDetector
from oodseg.nn.taught import TaughtDetector, features_of
from oodseg.nn.uncertainty import energy
from oodseg.training.exposure.method import Method, Parts
from oodseg.training.exposure.query_methods import Mask2Anomaly, Rba
from oodseg.training.exposure.recipe import (
    DenseHybridRecipe,
    HeadRecipe,
    MarginRecipe,
    MetaOodRecipe,
    PebalRecipe,
    RplRecipe,
    SynBoostRecipe,
)
from oodseg.training.exposure.truth import Truth
from oodseg.training.losses.corocl import corocl
from oodseg.training.losses.densehybrid import densehybrid
from oodseg.training.losses.dissimilarity import dissimilarity
from oodseg.training.losses.energy_margin import Margins, energy_margin, measured_margins
from oodseg.training.losses.meta_ood import entropy_maximisation
from oodseg.training.losses.pebal import pebal
from oodseg.training.losses.rpl import rpl
from oodseg.training.resynthesis import generator_of

HeadRecipeT = TypeVar("HeadRecipeT", bound=HeadRecipe)


class _OnFeatures(Method[HeadRecipeT]):
    """One whose detector is a head on features."""

    detector_class: ClassVar[type[ExposedDetector]]

    def new_detector(self, segmenter: Segmenter) -> ExposedDetector:
        """See `Method.new_detector`."""
        return self.detector_class.around(segmenter, self.recipe.hidden, self.recipe.smooth)


class MetaOod(_OnFeatures[MetaOodRecipe]):
    """See `oodseg.detectors.meta_ood`."""

    recipe_class, detector_class = MetaOodRecipe, MetaOodDetector

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenFeatures, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`."""
        logits = detector.read(seen)
        return entropy_maximisation(logits, truth.labels, truth.outlier, self.recipe.outlier_weight)


MarginRecipeT = TypeVar("MarginRecipeT", bound=MarginRecipe)


class _WithMargins(_OnFeatures[MarginRecipeT]):
    """One with hinges on the energy, whose margins may have to be measured."""

    def prepare(self, seen: Iterable[tuple[SeenFeatures, Truth]]) -> None:
        """See `Method.prepare`: measures the margins, unless the recipe names them."""
        if self.recipe.margins is None:
            measured = [measured_margins(energy(each.logits), truth.inlier) for each, truth in seen]
            inside, outside = (sum(each) / len(measured) for each in zip(*measured, strict=True))
            self.recipe = self.recipe.model_copy(update={"margins": (inside, outside)})

    @property
    def margins(self) -> Margins:
        """Those of the recipe, or as measured."""
        assert self.recipe.margins is not None  # `prepare` came first
        return self.recipe.margins


class EnergyMargin(_WithMargins[MarginRecipe]):
    """See `oodseg.detectors.energy_margin`."""

    recipe_class, detector_class = MarginRecipe, EnergyMarginDetector

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenFeatures, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`."""
        logits = detector.read(seen)
        pixels = (truth.labels, truth.inlier, truth.outlier)
        return energy_margin(logits, *pixels, self.margins, self.recipe.energy_weight)


class Pebal(_WithMargins[PebalRecipe]):
    """See `oodseg.detectors.pebal`."""

    recipe_class, detector_class = PebalRecipe, PebalDetector

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenFeatures, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`."""
        recipe = self.recipe
        return pebal(
            detector.read(seen),
            truth.labels,
            truth.inlier,
            truth.outlier,
            self.margins,
            recipe.energy_weight,
            recipe.outlier_weight,
            recipe.smooth_weight,
            recipe.sparse_weight,
        )


class Rpl(_OnFeatures[RplRecipe]):
    """See `oodseg.detectors.rpl`; with CoroCL where the recipe has a `contrast`."""

    recipe_class, detector_class = RplRecipe, RplDetector

    def new_companion(self, detector: TaughtDetector[Any]) -> nn.Module | None:
        """See `Method.new_companion`: CoroCL's projection."""
        if not self.recipe.contrast:
            return None
        return nn.Conv2d(self.recipe.hidden, self.recipe.projection, 1)

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenFeatures, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`."""
        logits = detector.read(seen)
        parts = rpl(logits, seen.logits, truth.inlier, truth.outlier, self.recipe.outlier_weight)
        if companion is not None and isinstance(detector, RplDetector):
            embedding = companion(detector.head.embed(seen.features)).float()
            pixels = (truth.inlier, truth.outlier, truth.elsewhere)
            parts["contrast"] = self.recipe.contrast * corocl(embedding, *pixels, self.recipe.temperature)
        return parts


class DenseHybrid(_OnFeatures[DenseHybridRecipe]):
    """See `oodseg.detectors.densehybrid`."""

    recipe_class, detector_class = DenseHybridRecipe, DenseHybridDetector

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenFeatures, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`."""
        logits, posterior = detector.read(seen).tensor_split([-DenseHybridDetector.extra], 1)
        pixels = (truth.labels, truth.inlier, truth.outlier)
        return densehybrid(logits, posterior, *pixels, self.recipe.outlier_weight)


class SynBoost(Method[SynBoostRecipe]):
    """See `oodseg.failures.synboost`."""

    recipe_class = SynBoostRecipe

    def new_detector(self, segmenter: Segmenter) -> SynBoostDetector:
        """See `Method.new_detector`."""
        recipe = self.recipe
        features_of(segmenter, torch.zeros(1, 3, 64, 64))
        generator = generator_of(recipe.generator)
        return SynBoostDetector(segmenter, generator, recipe.widths, recipe.ensemble, recipe.smooth or 0.0)

    def losses(
        self, detector: TaughtDetector[Any], seen: SeenTwice, truth: Truth, companion: nn.Module | None
    ) -> Parts:
        """See `Method.losses`."""
        logits = detector.read(seen)
        return dissimilarity(logits, truth.inlier, truth.outlier, self.recipe.class_weights)


METHODS: dict[str, type[Method[Any]]] = {
    "meta_ood": MetaOod,
    "energy_margin": EnergyMargin,
    "pebal": Pebal,
    "rpl": Rpl,
    "densehybrid": DenseHybrid,
    "synboost": SynBoost,
    "mask2anomaly": Mask2Anomaly,
    "rba": Rba,
}


def method_of(name: str) -> type[Method[Any]]:
    """Finds a method by name.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"there is no method '{name}'; choose one of: {', '.join(METHODS)}")
    return METHODS[name]
