"""Unknown objects by re-synthesis: what a prediction cannot explain looks different when made back.

Anomaly segmentation of SynthCP (Xia et al., ECCV 2020, Sec. 3.4): the segmenter's own intermediate features
of the picture and of the picture made back from its prediction are compared by cosine similarity.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.detectors.normalization import ScoreNormalizer
from oodseg.errors import ConfigError
from oodseg.resynthesis.bundle import load_failure_detector, read_failure_config
from oodseg.resynthesis.detector import build_part, full_logits, msp_log_odds
from oodseg.resynthesis.features import cosine_similarity, feature_stages
from oodseg.resynthesis.spade import SpadeGenerator, working_size
from oodseg.resynthesis.synthcp import SynthCP, check_classes
from oodseg.segmenters import Segmenter, make_segmenter

COMBINATIONS = ("switch", "product", "distance", "msp")


class SynthCPDetector(nn.Module):
    """Scores by how far the picture made back from the prediction is from the picture taken.

    With p the maximum softmax probability and s the cosine similarity of features, mean over stages:

    | `combine` | score |
    |---|---|
    | `"switch"` | `1 - p` where `p > threshold`, else `1 - s`, as in the paper |
    | `"product"` | `(1 - p) (1 - s)` |
    | `"distance"` | `1 - s` |
    | `"msp"` | `1 - p`: what the others are measured against |

    Args:
        source: A `synthcp` failure detector to take segmenter, generator and statistics from: bundled name or
            folder. Not looked at where `segmenter` and `generator` are given.
        segmenter: One that hands out its features; or `{"name": ..., "config": {...}}`.
        generator: Label map to picture for that segmenter's classes; or its settings.
        combine: See above.
        threshold: Of `"switch"`, 0..1.

    Raises:
        ConfigError: An unknown combination, one of segmenter and generator alone, or other classes.
        WeightsError: There is no such failure detector.
    """

    name = "synthcp"

    def __init__(
        self,
        source: str | os.PathLike[str] = "street",
        segmenter: Segmenter | Mapping[str, Any] | None = None,
        generator: SpadeGenerator | Mapping[str, Any] | None = None,
        combine: str = "product",
        threshold: float = 0.999,
    ) -> None:
        super().__init__()
        if combine not in COMBINATIONS:
            raise ConfigError(
                f"there is no combination '{combine}'; choose one of: {', '.join(COMBINATIONS)}"
            )
        self.normalizer = ScoreNormalizer()
        if segmenter is None and generator is None:
            segmenter, generator = self._take_from(source, combine)
        if segmenter is None or generator is None:
            raise ConfigError("synthcp needs both a segmenter and a generator, or the source of both")
        self.segmenter = make_segmenter(segmenter)
        self.generator: SpadeGenerator = build_part(SpadeGenerator, generator)
        check_classes(self.segmenter, "generator", self.generator.classes)
        self.combine, self.threshold = combine, threshold
        self.eval()

    def _take_from(self, source: str | os.PathLike[str], combine: str) -> tuple[Segmenter, SpadeGenerator]:
        detector = load_failure_detector(source)
        if not isinstance(detector, SynthCP):
            raise ConfigError(
                f"the failure detector {os.fspath(source)} is {detector.name} and makes no pictures back: "
                "give one of the kind synthcp"
            )
        statistics = read_failure_config(source).get("anomaly_statistics", {}).get(combine)
        if statistics:
            self.normalizer = ScoreNormalizer(*statistics)
        return detector.segmenter, detector.generator

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able; segmenter and generator lie in the weight file beside them."""
        return {
            "segmenter": {"name": self.segmenter.name, "config": self.segmenter.config},
            "generator": self.generator.config,
            "combine": self.combine,
            "threshold": self.threshold,
        }

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        size = (images.shape[-2], images.shape[-1])
        logits = full_logits(self.segmenter.segment(images), size)
        doubt = msp_log_odds(logits).sigmoid()
        if self.combine == "msp":
            return doubt
        made = self.generator.resynthesize(logits.argmax(1))
        # Both at the generator's size: enlarged, what it made would differ by its blur alone.
        side = working_size(*size, self.generator.short_side, self.generator.multiple)
        taken = F.interpolate(images, side, mode="bilinear", align_corners=False, antialias=True)
        stages = [feature_stages(self.segmenter, each) for each in (taken, made)]
        distance = 1 - cosine_similarity(stages[0], stages[1], size)
        if self.combine == "switch":
            return torch.where(1 - doubt > self.threshold, doubt, distance)
        return doubt * distance if self.combine == "product" else distance
