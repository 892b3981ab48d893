"""The contracts: segmenter, detector, prompt generator, promptable segmenter, failure detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from oodseg.core.normalization import ScoreNormalizer


# How many boxes per ordinary image a user puts up with: at most 0.1, about 0.25, about 1.
OPERATING_POINTS = ("quiet", "balanced", "thorough")


@dataclass(frozen=True)
class MaskQueries:
    """What a mask classifier (MaskFormer and its kin) says: Q masks, each with a class.

    Attributes:
        classes: Float `[B, Q, C + 1]`: class logits of every query; the last one is "no object" (void).
        masks: Float `[B, Q, h, w]`: mask logits of any resolution covering the picture.
    """

    classes: Tensor
    masks: Tensor

    def class_scores(self) -> Tensor:
        """What all queries together say about each class, `L_c = sum_q P_q(c) m_q`, float `[B, C, h, w]`.

        `P_q` is the softmax over the classes and void, `m_q` the sigmoid of the mask; void is left out of the
        sum (MaskFormer: Cheng et al., NeurIPS 2021, Sec. 3.4), which may exceed 1.
        """
        import torch

        known = self.classes.softmax(-1)[..., :-1]
        return torch.einsum("bqc,bqhw->bchw", known, self.masks.sigmoid())


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter says about a batch of pictures.

    Attributes:
        logits: Float `[B, C, h, w]` of any resolution covering the picture; of a mask classifier the
            logarithm of its class scores.
        features: Float `[B, D, h', w']` of the last layer before the classes, or None if the family
            has none to give.
        queries: The mask queries, or None if the family has none.
    """

    logits: Tensor
    features: Tensor | None = None
    queries: MaskQueries | None = None


@runtime_checkable
class Segmenter(Protocol):
    """Gives every pixel logits over the classes it knows.

    Attributes:
        name: Key in `SEGMENTERS`.
        classes: Names of the C classes.
    """

    name: str
    classes: tuple[str, ...]

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments: `SEGMENTERS[name](**config)` rebuilds the segmenter."""
        ...

    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, any size.
        """
        ...


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
class ImageDetector(Protocol):
    """What a detector has that chooses the scale it sees and shows the features behind its scores.

    Attributes:
        zoom: How many times the working size it wants to see, where the image is that large.
    """

    @property
    def zoom(self) -> int:
        """See the class."""
        ...

    def look(self, images: Tensor, zoom: int = 1) -> Sight:
        """Scores a batch.

        Args:
            images: Float `[B, 3, zoom * H, zoom * W]`, RGB in 0..1.
            zoom: 1, or the detector's own.

        Returns:
            Scores `[B, H, W]` and the features behind them.
        """
        ...


@dataclass(frozen=True)
class BoxPrompts:
    """Box prompts of one picture.

    Attributes:
        boxes: Float32 `[N, 4]`, `xyxy` in pixels of the score map that was handed in (x right, y down).
        confidence: Float32 `[N]` in 0..1, sorted descending.
    """

    boxes: Tensor
    confidence: Tensor


@runtime_checkable
class PromptGenerator(Protocol):
    """Draws one box around every object that stands out in a score map.

    Attributes:
        name: Key in `PROMPTS`.
    """

    name: str

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments: `PROMPTS[name](**config)` rebuilds the generator."""
        ...

    def propose(
        self, scores: Tensor, features: Sequence[Tensor] | None = None, operating_point: str = "quiet"
    ) -> list[BoxPrompts]:
        """Proposes boxes.

        Args:
            scores: Float32 `[B, H, W]`, finite, normalised by `ScoreNormalizer` (in-distribution pixels
                have about mean 0 and standard deviation 1; higher = more anomalous).
            features: `Sight.features` of the detector the scores come from; None for scores from elsewhere.
                A generator may ignore them.
            operating_point: One of `OPERATING_POINTS`; a generator without calibrated confidences ignores it.

        Returns:
            One `BoxPrompts` a picture, possibly with no box at all.
        """
        ...


@runtime_checkable
class PromptableSegmenter(Protocol):
    """Turns boxes into outlines.

    Attributes:
        name: Key in `MASKS`.
    """

    name: str

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments: `MASKS[name](**config)` rebuilds the segmenter."""
        ...

    def embed(self, image: Tensor) -> Any:
        """Encodes one picture.

        Args:
            image: Float32 `[3, H, W]`, RGB in 0..1, at the size of the picture that was handed in.

        Returns:
            Whatever `segment` needs; opaque to the caller.
        """
        ...

    def segment(self, embedding: Any, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box.

        Args:
            embedding: What `embed` returned for the picture.
            boxes: Float32 `[N, 4]`, `xyxy` in pixels of that picture.
            scores: Normalised score map, float32 `[h, w]` of any resolution covering the same picture;
                segmenters that cannot use it ignore it.

        Returns:
            Bool `[N, H, W]`, one mask a box (N may be 0).
        """
        ...


@dataclass(frozen=True)
class Assessment:
    """What a failure detector says about one picture or slice.

    Attributes:
        labels: uint8 `[H, W]`: the predicted classes, indices into the detector's `classes`.
        error: float32 `[H, W]`: probability that the prediction is wrong there, 0..1.
        resynthesis: uint8 `[H, W, 3]`, RGB: the picture made back from the prediction; None if the detector
            makes none.
        class_iou: float32 `[C]`: estimated IoU (Dice for volumes) of every class; NaN where a class is not
            predicted.
        mean_iou: Their estimated mean over the classes in the truth; one that is missed counts as 0.
    """

    labels: NDArray[np.uint8]
    error: NDArray[np.float32]
    resynthesis: NDArray[np.uint8] | None
    class_iou: NDArray[np.float32]
    mean_iou: float


@runtime_checkable
class FailureDetector(Protocol):
    """Segments a picture and says where that segmentation is wrong.

    Attributes:
        name: Key in `FAILURES`.
        classes: Names of the C classes.
    """

    name: str
    classes: tuple[str, ...]

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments."""
        ...

    def assess(self, image: Tensor) -> Assessment:
        """Assesses one picture.

        Args:
            image: Float `[3, H, W]`, RGB in 0..1, any size.
        """
        ...
