"""Any closed-set segmenter plus a score makes a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.detectors.scoring import FittedScore, Score, build_score, check_needs
from oodseg.detectors.smoothing import gaussian_blur
from oodseg.nn.tensors import resize_scores
from oodseg.segmenters import Segmentation, Segmenter, make_segmenter
from oodseg.segmenters.own import CallableSegmenter
from oodseg.segmenters.street import STRIDE


class LogitDetector(nn.Module):
    """Scores a picture by what a segmenter says about it.

    Args:
        segmenter: A `Segmenter` (`oodseg.core.spec.build_segmenter` makes one of a name); or any callable
            from float `[B, 3, H, W]` in 0..1 to logits, as `CallableSegmenter` takes it; or `{"name": ...,
            "config": {...}}` to build one from `SEGMENTERS`; None for a street network that still needs
            its weights.
        score: Name in `SCORES`, or a mapping of `"name"` and options: `{"name": "energy",
            "temperature": 2.0}`.
        smooth: Standard deviation in pixels of a Gaussian over the score (7x7 with 1.0 in PEBAL, RPL and
            the released S2M), 0 for none.
        normalizer: Statistics on in-distribution pictures; `fit` finds them.

    Raises:
        ConfigError: No such segmenter or score, or an impossible option.
    """

    name = "logit"

    def __init__(
        self,
        segmenter: Segmenter | Mapping[str, Any] | Callable[[Tensor], Any] | None = None,
        score: str | Mapping[str, Any] | Score = "energy",
        smooth: float = 0.0,
        normalizer: ScoreNormalizer | None = None,
    ) -> None:
        super().__init__()
        if not smooth >= 0:
            raise ConfigError(f"smooth is a standard deviation in pixels and cannot be {smooth}")
        self.rule = build_score(score)
        self.segmenter = _segmenter(segmenter)
        self.smooth = smooth
        self.normalizer = normalizer or ScoreNormalizer()
        self.eval()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able.

        Raises:
            ConfigError: The segmenter is not one that this package can rebuild.
        """
        segmenter = {"name": self.segmenter.name, "config": self.segmenter.config}
        return {"segmenter": segmenter, "score": self.rule.config, "smooth": self.smooth}

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        height, width = images.shape[-2:]
        score = resize_scores(self.rule(self._segment(images), (height, width)).float(), (height, width))
        return gaussian_blur(score, self.smooth) if self.smooth else score

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Fits the score's statistics, if it has any, and then the normalizer, one batch at a time.

        Args:
            batches: Float `[B, 3, H, W]` in 0..1 of pictures in which nothing is unknown; read twice, so
                a list or whatever else can be iterated again.

        Raises:
            ConfigError: A generator, or a segmenter that does not give what the score needs.
            ScoreMapError: No picture, or scores that do not vary.
        """
        if isinstance(batches, Iterator):
            raise ConfigError("the pictures to fit on are read twice: give a list of batches, no generator")
        if isinstance(self.rule, FittedScore):
            self.rule.fit(self._segment(images) for images in batches)
        self.normalizer = ScoreNormalizer.fit(self.score(images) for images in batches)

    @torch.inference_mode()
    def _segment(self, images: Tensor) -> Segmentation:
        segmentation = self.segmenter.segment(images)
        check_needs(self.rule, segmentation, self.segmenter.name)
        return segmentation


def _segmenter(given: Any) -> Segmenter:
    if given is None or isinstance(given, Mapping):
        return make_segmenter(given or {"name": "street"})
    # No isinstance: it would ask for `config`, which a network of the user's own does not have.
    if hasattr(given, "segment"):
        found: Segmenter = given
        return found
    return CallableSegmenter(given, multiple=STRIDE)
