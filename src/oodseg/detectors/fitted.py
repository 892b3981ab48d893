"""Two scores that learn short statistics first: KL matching and Maskomaly's choice of queries."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import Segmentation
from oodseg.detectors.query_scores import claims, maskomaly
from oodseg.detectors.scores import kl_to_templates
from oodseg.detectors.scoring import FittedScore

NOTHING = "there is no image to fit the score '{}' on: give images in which nothing is unknown"
_NO_QUERIES = "maskomaly needs the queries of a mask classifier: choose a segmenter such as mask2former"


class KLMatching(FittedScore):
    """Divergence from the nearest class template; see `scores.kl_to_templates`.

    The template of a class is the mean of the class probabilities over the pixels that the segmenter takes
    for it. Classes that it never sees have none.
    """

    name = "kl_matching"
    statistics = ("templates",)
    templates: Tensor

    def fit(self, batches: Iterable[Segmentation]) -> None:
        """See `FittedScore.fit`."""
        total: Tensor | None = None
        count: Tensor | None = None
        for segmentation in batches:
            p = segmentation.logits.double().softmax(1).movedim(1, -1).flatten(0, -2)
            label = p.argmax(1)
            if total is None or count is None:
                total, count = p.new_zeros(p.shape[1], p.shape[1]), p.new_zeros(p.shape[1])
            total = total.index_add(0, label, p)
            count = count + label.bincount(minlength=p.shape[1])
        if total is None or count is None:
            raise ScoreMapError(NOTHING.format(self.name))
        seen = count > 0
        self._keep(templates=(total[seen] / count[seen, None]).float())

    def evaluate(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`."""
        return kl_to_templates(segmentation.logits.float(), self.templates)


class Maskomaly(FittedScore):
    """Maskomaly with the queries that respond to unknown objects; see `query_scores.maskomaly`.

    The paper takes the few queries whose masks overlap best with labelled anomalies. Here no anomaly is
    ever seen: taken are the queries that leave ordinary images alone, so that it means something when
    one of them claims a pixel. The rest of the score is as published.

    Args:
        quiet: A query is taken if it claims (mask times class probability) at most this share of the
            in-distribution pixels.
    """

    name = "maskomaly"
    needs = "queries"
    statistics = ("claimed",)
    claimed: Tensor

    def __init__(self, quiet: float = 0.01) -> None:
        if not (isinstance(quiet, int | float) and 0 <= quiet <= 1):
            raise ConfigError(f"quiet must be a share of the pixels from 0 to 1, not {quiet!r}")
        super().__init__()
        self.quiet = quiet

    def fit(self, batches: Iterable[Segmentation]) -> None:
        """See `FittedScore.fit`: keeps the share of pixels that each query claims."""
        total: Tensor | None = None
        pixels = 0
        for segmentation in batches:
            if segmentation.queries is None:
                raise ConfigError(_NO_QUERIES)
            each = claims(segmentation.queries)
            total = each.double().sum((0, 2, 3)) + (0 if total is None else total)
            pixels += each[:, 0].numel()
        if total is None:
            raise ScoreMapError(NOTHING.format(self.name))
        self._keep(claimed=(total / pixels).float())

    def evaluate(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`."""
        if segmentation.queries is None:
            raise ConfigError(_NO_QUERIES)
        return maskomaly(segmentation.queries, self.claimed <= self.quiet)
