"""Defines the values that the parts of a pipeline pass to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oodseg.core.taxonomy import IGNORE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class MaskQueries:
    """The output of a mask classifier (such as MaskFormer): Q masks, each with class logits.

    Attributes:
        classes: Float `[B, Q, C + 1]`: class logits of every query; the last one is "no object" (void).
        masks: Float `[B, Q, h, w]`: mask logits of any resolution covering the image.
    """

    classes: Tensor
    masks: Tensor

    def class_scores(self) -> Tensor:
        """Sums the queries' votes for each class, `L_c = sum_q P_q(c) m_q`, float `[B, C, h, w]`.

        `P_q` is the softmax over the classes and void, `m_q` the sigmoid of the mask; void is left out of the
        sum (MaskFormer: Cheng et al., NeurIPS 2021, Sec. 3.4), which may exceed 1.
        """
        import torch

        known = self.classes.softmax(-1)[..., :-1]
        return torch.einsum("bqc,bqhw->bchw", known, self.masks.sigmoid())

    def float(self) -> MaskQueries:
        """Returns the same in float32."""
        return MaskQueries(self.classes.float(), self.masks.float())


@dataclass(frozen=True)
class Segmentation:
    """A segmenter's output for a batch of images.

    Attributes:
        logits: Float `[B, C, h, w]` of any resolution covering the image; of a mask classifier the
            logarithm of its class scores.
        features: Float `[B, D, h', w']` of the last layer before the classes, or None if the family
            has none to give.
        queries: The mask queries, or None if the family has none.
        relative: Whether the logits of a pixel are known but for a constant, because the network ends in a
            softmax: probabilities are right, the height of a logit says nothing.
    """

    logits: Tensor
    features: Tensor | None = None
    queries: MaskQueries | None = None
    relative: bool = False

    def gives(self, kind: str) -> bool:
        """Tells whether it holds the named output: `"logits"`, `"features"` or `"queries"`."""
        return {"logits": True, "features": self.features is not None, "queries": self.queries is not None}[
            kind
        ]

    def float(self) -> Segmentation:
        """Returns the same in float32."""
        features = None if self.features is None else self.features.float()
        queries = None if self.queries is None else self.queries.float()
        return replace(self, logits=self.logits.float(), features=features, queries=queries)


@dataclass(frozen=True)
class Sight:
    """A detector's output for a batch of images.

    Attributes:
        scores: Float32 `[B, H, W]`, as `Detector.score` gives them.
        features: What lies behind the scores, for a prompt generator that reads it: float maps
            `[B, C, H / stride, W / stride]`, finest first; None where the detector shows none.
    """

    scores: Tensor
    features: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class BoxPrompts:
    """Box prompts of one image.

    Attributes:
        boxes: Float32 `[N, 4]`, `xyxy` in pixels of the score map that was handed in (x right, y down).
        confidence: Float32 `[N]` in 0..1, sorted descending.
    """

    boxes: Tensor
    confidence: Tensor

    def above(self, least: float) -> BoxPrompts:
        """Returns the boxes of at least a confidence."""
        sure = int((self.confidence >= least).sum())
        return BoxPrompts(self.boxes[:sure], self.confidence[:sure])


@dataclass(frozen=True)
class Assessment:
    """A failure detector's output for one image or slice.

    Attributes:
        labels: uint8 `[H, W]`: the predicted classes, indices into the detector's `classes`; 255 where labels
            that were handed in have none.
        error: float32 `[H, W]`: probability that the prediction is wrong there, 0..1; 0 where there is none.
        resynthesis: uint8 `[H, W, 3]`, RGB: the image re-synthesised from the labels; None if the detector
            makes none.
        class_quality: float32 `[C]`: estimated IoU (Dice for volumes) of every class; NaN where it is not
            predicted.
        mean_quality: Their estimated mean over the classes in the truth; one that is missed counts as 0.
        interval: Where the true mean lies by the detector's `intervals`, within 0..1; None without any.
    """

    labels: NDArray[np.uint8]
    error: NDArray[np.float32]
    resynthesis: NDArray[np.uint8] | None
    class_quality: NDArray[np.float32]
    mean_quality: float
    interval: tuple[float, float] | None = None

    @property
    def void(self) -> NDArray[np.bool_]:
        """Bool `[H, W]`: pixels without a class; none where there are so many classes that 255 is one."""
        found: NDArray[np.bool_] = (self.labels == IGNORE) & (len(self.class_quality) <= IGNORE)
        return found

    @property
    def wrong(self) -> float:
        """Expected share of wrong pixels among those that have a class, 0..1."""
        return float(self.error[~self.void].mean())
