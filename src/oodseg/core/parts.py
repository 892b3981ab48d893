"""The contracts of the parts: segmenter, detector, prompt generator, promptable segmenter, judge.

A part is a class that derives from its contract; a part that is a network derives from `ModulePart` of
`oodseg.core.modules` first. Nothing ever asks a part whether it happens to have some attribute.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oodseg.core.base import Fittable, Learned, Part, describe, parameters, plain
from oodseg.core.errors import ConfigError
from oodseg.core.values import Assessment, BoxPrompts, MaskQueries, Segmentation, Sight

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.core.intervals import QualityIntervals, StructureIntervals
    from oodseg.core.normalization import ScoreNormalizer

__all__ = [
    "OPERATING_POINTS",
    "Assessment",
    "BoxPrompts",
    "Detector",
    "Fittable",
    "Judge",
    "Learned",
    "MaskQueries",
    "Part",
    "PromptGenerator",
    "PromptableSegmenter",
    "Segmentation",
    "Segmenter",
    "Sight",
    "describe",
    "no_features",
    "parameters",
    "statistics_of",
]

# False boxes aimed at per ordinary image: no more than 0.1, 0.25 and 1.
OPERATING_POINTS = ("quiet", "balanced", "thorough")


class Segmenter(Part):
    """Gives every pixel logits over the classes it knows.

    Attributes:
        classes: Names of the C classes.
    """

    classes: tuple[str, ...]

    @abstractmethod
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, any size.
        """

    def classify(self, features: Tensor) -> Tensor:
        """Applies the last layer to `Segmentation.features`, changed or not, for what is trained on them.

        Args:
            features: Float `[B, D, h, w]`.

        Returns:
            Logits, float `[B, C, h, w]`; gradients flow back to the features.

        Raises:
            ConfigError: The segmenter gives no features, or they do not decide the logits.
        """
        raise no_features(self)


class Detector(Part):
    """Gives every pixel an anomaly score; higher means more anomalous.

    Attributes:
        normalizer: Statistics of the score on ordinary images; None until they are fitted. They are saved
            with the detector, and the grammar takes them as its argument `normalizer`, whatever its
            constructor.
        zoom: How many times the working size it wants to see, where the image is that large.
        feature_channels: Channels of the maps in `Sight.features`, finest first; empty if it shows none.
    """

    normalizer: ScoreNormalizer | None = None
    zoom: int = 1
    feature_channels: tuple[int, ...] = ()

    @property
    def config(self) -> dict[str, Any]:
        """See `Part.config`; with the statistics, if there are any."""
        known = {} if self.normalizer is None else {"normalizer": plain(self.normalizer)}
        return {**super().config, **known}

    @property
    def fitted(self) -> bool:
        """True if the score's statistics are known, so that a prompt generator can read it."""
        return self.normalizer is not None

    @abstractmethod
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, any size.

        Returns:
            Float32 `[B, H, W]`, finite, higher = more anomalous, any range (not normalised).
        """

    def look(self, images: Tensor, zoom: int = 1) -> Sight:
        """Scores a batch and shows the features behind the scores; by default there are none.

        Args:
            images: Float `[B, 3, zoom * H, zoom * W]`, RGB in 0..1.
            zoom: 1, or the detector's own.

        Returns:
            Scores `[B, H, W]` and the features behind them.
        """
        return Sight(self.score(images))

    def encode(self, images: Tensor) -> Tensor | None:
        """Computes features by which things in images can be compared; by default there are none.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, any size.

        Returns:
            Float `[B, C, h, w]`, covering the images but for a margin that padding adds; or None.
        """
        return None

    def further_scores(self, images: Tensor) -> dict[str, Tensor]:
        """Computes other scores of a batch than its own, by name; by default there are none.

        A prompt generator that is trained on the detector learns to read these too.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1.

        Returns:
            Float32 `[B, H, W]` each, normalised.
        """
        return {}


class PromptGenerator(Part):
    """Proposes one box per object that stands out in a score map.

    Attributes:
        scale: The score normalisation it was trained with; None to use the detector's.
    """

    scale: ScoreNormalizer | None = None

    @abstractmethod
    def propose(
        self, scores: Tensor, features: Sequence[Tensor] | None = None, operating_point: str | float = "quiet"
    ) -> list[BoxPrompts]:
        """Proposes boxes.

        Args:
            scores: Float32 `[B, H, W]`, finite, normalised by `ScoreNormalizer` (in-distribution pixels
                have about mean 0 and standard deviation 1; higher = more anomalous).
            features: `Sight.features` of the detector the scores come from; None for scores from elsewhere.
                A generator may ignore them.
            operating_point: One of `OPERATING_POINTS`, or the least confidence itself, below which the
                pipeline drops all boxes; a generator that always gives all it finds ignores it.

        Returns:
            One `BoxPrompts` per image, possibly with no box at all.
        """

    def least_confidence(self, operating_point: str, with_features: bool) -> float:
        """Tells from which confidence on a box is proposed at an operating point, 0..1.

        Boxes at one point are those of a readier one that are sure enough. By default 0: a generator that
        ignores the operating point.

        Args:
            operating_point: One of `OPERATING_POINTS`.
            with_features: Whether the scores come with features of the detector.
        """
        return 0.0


class PromptableSegmenter(Part):
    """Turns boxes into outlines."""

    @abstractmethod
    def embed(self, image: Tensor) -> Any:
        """Encodes one image.

        Args:
            image: Float32 `[3, H, W]`, RGB in 0..1, at the size of the image that was handed in.

        Returns:
            Whatever `segment` needs; opaque to the caller.
        """

    @abstractmethod
    def segment(self, embedding: Any, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box.

        Args:
            embedding: What `embed` returned for the image.
            boxes: Float32 `[N, 4]`, `xyxy` in pixels of that image.
            scores: Normalised score map, float32 `[h, w]` of any resolution covering the same image;
                segmenters that cannot use it ignore it.

        Returns:
            Bool `[N, H, W]`, one mask per box (N may be 0).
        """


class Judge(Part):
    """Locates errors in a segmentation, either its own or labels made elsewhere.

    Attributes:
        classes: Names of the C classes.
        intervals: Where the true quality of an image lies; None until they are fitted. They are saved with
            the judge, and the grammar takes them as its argument `intervals`, whatever its constructor.
        structure_intervals: Where the true Dice of a volume's structures lies; likewise.
    """

    classes: tuple[str, ...]
    intervals: QualityIntervals | None = None
    structure_intervals: StructureIntervals | None = None

    @property
    def config(self) -> dict[str, Any]:
        """See `Part.config`; with the intervals, if there are any."""
        learned = {"intervals": self.intervals, "structure_intervals": self.structure_intervals}
        known = {name: plain(value) for name, value in learned.items() if value is not None}
        return {**super().config, **known}

    def with_interval(self, found: Assessment) -> Assessment:
        """Adds the interval of the mean quality to an assessment, if intervals were fitted."""
        if self.intervals is None:
            return found
        return replace(found, interval=self.intervals.around(found.mean_quality, found.wrong))

    @abstractmethod
    def assess(self, image: Tensor, labels: Tensor | None = None) -> Assessment:
        """Assesses one image.

        Args:
            image: Float `[3, H, W]`, RGB in 0..1, any size.
            labels: Integers `[H, W]`, indices into `classes`: the segmentation to judge; 255 where it has no
                class, which is not judged. None for that of the judge's own segmenter.

        Returns:
            What it found, handed through `with_interval`.

        Raises:
            ConfigError: It needs labels and was given none, or the other way round.
        """


def no_features(segmenter: Segmenter) -> ConfigError:
    """Makes the error for a segmenter without the features that are needed."""
    return ConfigError(
        f"the segmenter '{segmenter.name}' gives no features that its last layer turns into logits, "
        "which this detector is trained on: choose street, segformer, upernet, dpt, deepwv3plus, DeepLabV3 "
        "or FCN of torchvision, or a CallableSegmenter with `classifier`"
    )


def statistics_of(detector: Detector) -> ScoreNormalizer:
    """Returns what brings a detector's scores to the scale that prompt generators read.

    Raises:
        ConfigError: It was never fitted.
    """
    if detector.normalizer is None or not detector.fitted:
        raise ConfigError(
            f"the detector '{detector.name}' was never fitted: fit it to images in which nothing is unknown, "
            "with `oodseg fit` or `S2M.fit`"
        )
    return detector.normalizer
