"""Any closed-set segmenter plus a score makes a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from oodseg.core.devices import half_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, Fittable
from oodseg.detectors.scoring import FittedScore, Score, build_score, check_needs
from oodseg.nn.smoothing import gaussian_blur
from oodseg.nn.tensors import resize_scores
from oodseg.segmenters import Segmentation, Segmenter
from oodseg.segmenters.own import CallableSegmenter
from oodseg.segmenters.street import STRIDE


class LogitDetector(ModulePart, Detector, Fittable):
    """Scores an image from a segmenter's output.

    Args:
        segmenter: A `Segmenter` (`oodseg.core.build.build_segmenter` makes one from a name); or any callable
            from float `[B, 3, H, W]` in 0..1 to logits, as `CallableSegmenter` takes it.
        score: Name in `SCORES`, or a mapping of `"name"` and options: `{"name": "energy",
            "temperature": 2.0}`.
        smooth: Standard deviation in pixels of a Gaussian over the score (7x7 with 1.0 in PEBAL, RPL and
            the released S2M), 0 for none.
        normalizer: Statistics on in-distribution images; `fit` finds them.

    Raises:
        ConfigError: No such segmenter or score, or an impossible option.
    """

    name = "logit"
    subparts: ClassVar = {"segmenter": "segmenters", "score": "scores"}

    def __init__(
        self,
        segmenter: Segmenter | Callable[[Tensor], Any],
        score: str | Mapping[str, Any] | Score = "energy",
        smooth: float = 0.0,
        normalizer: ScoreNormalizer | None = None,
    ) -> None:
        super().__init__()
        if not smooth >= 0:
            raise ConfigError(f"smooth must be a standard deviation in pixels, not {smooth}")
        self.rule = build_score(score)
        if not isinstance(segmenter, Segmenter):
            if not callable(segmenter):
                raise ConfigError(
                    f"a {type(segmenter).__name__} is not a segmenter: oodseg.core.build.build_segmenter "
                    "makes one of a name or mapping"
                )
            segmenter = CallableSegmenter(segmenter, multiple=STRIDE)
        self.segmenter = segmenter
        self.smooth = smooth
        self.normalizer = normalizer
        self.eval()

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the statistics are named by `Detector.config`."""
        return {"segmenter": self.segmenter, "score": self.rule, "smooth": self.smooth}

    @property
    def fitted(self) -> bool:
        """True if score and normalizer have their statistics."""
        return self.normalizer is not None and not (
            isinstance(self.rule, FittedScore) and not self.rule.fitted
        )

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        height, width = images.shape[-2:]
        score = resize_scores(self.rule(self._segment(images), (height, width)).float(), (height, width))
        return gaussian_blur(score, self.smooth, mirror=True) if self.smooth else score

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor | None:
        """Computes the segmenter's features, where it gives any; see `Detector.encode`."""
        with half_autocast(images.device):
            return self.segmenter.segment(images).float().features

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Fits the score's statistics, if it has any, and then the normalizer, one batch at a time.

        Args:
            batches: Float `[B, 3, H, W]` in 0..1 of images in which nothing is unknown; read twice, so
                a list or whatever else can be iterated again.

        Raises:
            ConfigError: A generator, or a segmenter that does not give what the score needs.
            ScoreMapError: No image, or scores that do not vary.
        """
        if isinstance(batches, Iterator):
            raise ConfigError("the images to fit on are read twice: give a list of batches, not a generator")
        if isinstance(self.rule, FittedScore):
            self.rule.fit(self._segment(images) for images in batches)
        self.normalizer = ScoreNormalizer.fit(self.score(images) for images in batches)

    @torch.inference_mode()
    def _segment(self, images: Tensor) -> Segmentation:
        with half_autocast(images.device):
            segmentation = self.segmenter.segment(images).float()
        check_needs(self.rule, segmentation, self.segmenter.name)
        return segmentation
