"""Detectors whose class and mask heads learned from outliers on a frozen Mask2Former: Mask2Anomaly and RbA.

The releases fine-tune the decoder (Mask2Anomaly) or its heads (RbA), which every decoder layer shares and
which steer the attention of the next. Here a copy of the heads learns on the states of the last layer, so
that the segmenter stays what it was; the copy's classes are those of the detector. Untrained, the scores are
those of `mask2former:...+mask2anomaly` and `+rba`.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.parts import MaskQueries
from oodseg.detectors.query_scores import mask2anomaly, rba
from oodseg.nn.taught import Seen, TaughtDetector
from oodseg.segmenters import Segmenter
from oodseg.segmenters.hub_masks import Mask2FormerSegmenter, QueryHeads, class_logits


@dataclass(frozen=True)
class SeenQueries(Seen):
    """Class logits of the frozen segmenter with what its heads read.

    Attributes:
        states: Of the queries, float `[B, Q, D]`.
        pixels: Their embeddings, float `[B, E, h, w]`.
    """

    states: Tensor
    pixels: Tensor


class QueryDetector(TaughtDetector[SeenQueries]):
    """Scores the queries of a Mask2Former of which a copy of the heads was trained.

    Args:
        segmenter: The Mask2Former.
        smooth: See `TaughtDetector`.

    Raises:
        ConfigError: Another segmenter.
    """

    subparts: ClassVar = {"segmenter": "segmenters"}
    segmenter: Mask2FormerSegmenter
    head: QueryHeads

    def __init__(self, segmenter: Segmenter, smooth: float = 0.0) -> None:
        super().__init__(smooth)
        if not isinstance(segmenter, Mask2FormerSegmenter):
            raise ConfigError(
                f"{self.name} trains the class and mask heads of a Mask2Former, and the segmenter "
                f"'{segmenter.name}' has none: choose mask2former:ID or mask2former:FOLDER"
            )
        self.segmenter = segmenter
        self.head = deepcopy(segmenter.heads()).requires_grad_(True)
        self.eval()

    @torch.no_grad()
    def see(self, images: Tensor) -> SeenQueries:
        """See `TaughtDetector.see`."""
        states, pixels = self.segmenter.before_heads(images)
        return SeenQueries(class_logits(self.segmenter.heads()(states, pixels)), states, pixels)

    def queries(self, seen: SeenQueries) -> MaskQueries:
        """Runs the trained heads, with gradients."""
        found: MaskQueries = self.head(seen.states, seen.pixels)
        return found.float()

    def read(self, seen: SeenQueries) -> Tensor:
        """See `TaughtDetector.read`: K = C."""
        return class_logits(self.queries(seen))

    @abstractmethod
    def rate(self, queries: MaskQueries) -> Tensor:
        """Turns queries into scores `[B, h, w]`."""

    def judge(self, seen: SeenQueries) -> Tensor:
        """See `TaughtDetector.judge`."""
        return self.rate(self.queries(seen))


class Mask2AnomalyDetector(QueryDetector):
    """Mask2Anomaly (Rai et al., ICCV 2023, arXiv 2307.13316): `1 - max_c L_c`, trained by contrast.

    Its global mask attention is another architecture, and its refinement by the masks of stuff needs to know
    the classes: both are left out. See `oodseg.training.losses.mask2anomaly` for the loss.
    """

    name = "mask2anomaly"

    def rate(self, queries: MaskQueries) -> Tensor:
        """See `QueryDetector.rate`."""
        return mask2anomaly(queries)


class RbaDetector(QueryDetector):
    """RbA, rejected by all (Nayal et al., ICCV 2023, arXiv 2211.14293): `-sum_c tanh(L_c)`.

    See `oodseg.training.losses.rba` for the loss.
    """

    name = "rba"

    def rate(self, queries: MaskQueries) -> Tensor:
        """See `QueryDetector.rate`."""
        return rba(queries)
