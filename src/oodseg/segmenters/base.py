"""The contract of every closed-set segmenter: picture in, class logits out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


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
