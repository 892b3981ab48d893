"""Recipes of the methods that learn from outliers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from oodseg.failures.dissimilarity import WIDTHS
from oodseg.training.engine.recipe import LoopRecipe
from oodseg.training.losses.dissimilarity import WEIGHTS
from oodseg.training.scene_mix import MixRecipe


class ExposureRecipe(LoopRecipe):
    """Holds the settings of all methods.

    Attributes:
        sizes: Height and width of the scenes, multiples of 32; batches take them in turn, and those of larger
            scenes are smaller by as much as their scenes are larger.
        smooth: Standard deviation in pixels of a Gaussian over the score; None for what the release does.
        targets: Classes to learn: the `"labels"` of the scenes, which are those of the street network; or
            what the frozen `"network"` predicts, for any other. `"auto"` takes the labels where they fit.
        mix: Composition of the scenes.
        val_scenes: Held-out scenes to validate on.
    """

    sizes: list[tuple[int, int]] = Field(default=[(256, 320), (384, 512)], min_length=1)
    smooth: float | None = Field(default=None, ge=0)
    targets: Literal["auto", "labels", "network"] = "auto"
    mix: MixRecipe = MixRecipe()
    val_scenes: int = Field(default=96, ge=1)
    max_steps: int = Field(default=1200, ge=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    val_every_steps: int = Field(default=400, ge=1)


class HeadRecipe(ExposureRecipe):
    """Holds the settings of methods with a head on the features.

    Attributes:
        hidden: Channels of the head.
    """

    hidden: int = Field(default=64, ge=1)


class MetaOodRecipe(HeadRecipe):
    """Of `oodseg.training.losses.meta_ood`.

    Attributes:
        outlier_weight: w.
    """

    outlier_weight: float = Field(default=0.9, ge=0, le=1)


class MarginRecipe(HeadRecipe):
    """Holds the settings of methods with hinges on the energy.

    Attributes:
        margins: m_in and m_out above it; None to measure them on the frozen network.
        energy_weight: Of the terms on the energy.
    """

    margins: tuple[float, float] | None = None
    energy_weight: float = Field(default=0.1, ge=0)

    @field_validator("margins")
    @classmethod
    def _in_order(cls, margins: tuple[float, float] | None) -> tuple[float, float] | None:
        if margins is not None and not margins[0] < margins[1]:
            raise PydanticCustomError(
                "order", "the first, of inliers, must lie below the second, of outliers"
            )
        return margins


class PebalRecipe(MarginRecipe):
    """Of `oodseg.training.losses.pebal`.

    Attributes:
        outlier_weight: Of abstention on outliers.
        smooth_weight: Of smooth energies.
        sparse_weight: Of small energies on outliers.
    """

    outlier_weight: float = Field(default=0.1, ge=0)
    smooth_weight: float = Field(default=3e-6, ge=0)
    sparse_weight: float = Field(default=5e-4, ge=0)


class RplRecipe(HeadRecipe):
    """Of `oodseg.training.losses.rpl`.

    Attributes:
        outlier_weight: Of the outliers' energy.
        contrast: Weight of CoroCL (`oodseg.training.losses.corocl`), 1 in the release; 0 for RPL alone.
        projection: Channels of the embedding that is contrasted.
        temperature: Of the contrast.
    """

    outlier_weight: float = Field(default=0.05, ge=0)
    contrast: float = Field(default=0.0, ge=0)
    projection: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.1, gt=0)

    @field_validator("contrast")
    @classmethod
    def _with_contexts(cls, contrast: float, info: ValidationInfo) -> float:
        if contrast > 0 and "mix" in info.data and info.data["mix"].natural == 0:
            raise PydanticCustomError(
                "contexts", "it contrasts with objects outside streets: give mix.natural a share above 0"
            )
        return contrast


class DenseHybridRecipe(HeadRecipe):
    """Of `oodseg.training.losses.densehybrid`; `mix.rectangles` is its share of rectangles of stuff.

    Attributes:
        outlier_weight: b.
    """

    outlier_weight: float = Field(default=0.03, ge=0)


class SynBoostRecipe(ExposureRecipe):
    """Of `oodseg.training.losses.dissimilarity`.

    Attributes:
        generator: Reconstructs images from the segmenter's classes: folder of `oodseg train resynthesis`,
            or a failure detector that has one, by bundled name or folder.
        widths: Of `oodseg.failures.dissimilarity.Dissimilarity`.
        ensemble: Weight of dissimilarity against entropy.
        class_weights: Of an inlier and of an outlier.
    """

    generator: str = "street"
    widths: list[int] = Field(default=list(WIDTHS), min_length=1)
    ensemble: float = Field(default=0.75, ge=0, le=1)
    class_weights: tuple[float, float] = WEIGHTS


class QueryRecipe(ExposureRecipe):
    """Holds the settings of methods that train the heads of a mask classifier.

    Attributes:
        mask_weight: Of Mask2Former's own losses.
        outlier_weight: Of the loss on outliers.
    """

    mask_weight: float = Field(default=1.0, ge=0)
    outlier_weight: float = Field(default=1.0, ge=0)


class Mask2AnomalyRecipe(QueryRecipe):
    """Of `oodseg.training.losses.mask2anomaly`.

    Attributes:
        margin: m.
    """

    margin: float = Field(default=0.75, ge=0)


class RbaRecipe(QueryRecipe):
    """Of `oodseg.training.losses.rba`.

    Attributes:
        target: a.
    """

    target: float = 5.0
