"""Unknown objects by re-synthesis: what a label map cannot represent is not reconstructed from it.

Anomaly segmentation of SynthCP (Xia et al., ECCV 2020, Sec. 3.4): the segmenter's own intermediate features
of the image and of the image reconstructed from its prediction are compared by cosine similarity. Where there
is a comparator, which has learned what a wrong prediction looks like beside its re-synthesis, it compares.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.comparator import Comparator
from oodseg.failures.detector import full_logits, msp_log_odds
from oodseg.failures.features import cosine_similarity, feature_stages
from oodseg.failures.spade import SpadeGenerator, working_size
from oodseg.failures.storage import load_failure_detector, read_failure_config
from oodseg.failures.synthcp import SynthCP, check_classes, compare, tell_unknown
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter

# Chosen with the bundled prompt generator on validation streets and scenes.
_FLOOR = 5e-4
COMBINATIONS = ("unknown", "comparison", "switch", "product", "distance", "msp")


class SynthCPDetector(ModulePart, Detector, Learned):
    """Scores by how far the image reconstructed from the prediction is from the original.

    With p the maximum softmax probability, s the cosine similarity of features, mean over stages, and e and u
    the probabilities of being wrong and of being unknown that the comparator gives:

    | `combine` | score |
    |---|---|
    | `"unknown"` | `log((1 - p) u + 0.0005)`; the default where the comparator tells what is unknown |
    | `"comparison"` | `(1 - p) e`; the default where there is another comparator |
    | `"switch"` | `1 - p` where `p > threshold`, else `1 - s`, as in the paper |
    | `"product"` | `(1 - p) (1 - s)`; the default where there is none |
    | `"distance"` | `1 - s` |
    | `"msp"` | `1 - p`: what the others are measured against |

    The logarithm ranks pixels as the product does; the product itself is so near to 0 on ordinary images
    that in units of its deviation there everything would stand out, and without the 0.0005 nothing would.

    Args:
        source: A `synthcp` failure detector to take all parts and statistics from: bundled name or folder.
            Not looked at where `segmenter` and `generator` are given.
        segmenter: One that hands out its features.
        generator: Label map to image for that segmenter's classes.
        comparator: One that sees a re-synthesis, for that segmenter's classes. Not needed but for `"unknown"`
            and `"comparison"`.
        calibration: Of the comparator's error.
        combine: See above.
        threshold: Of `"switch"`, 0..1.

    Raises:
        ConfigError: An unknown combination, or one that lacks its comparator; one of segmenter and generator
            alone; other classes.
        WeightsError: There is no such failure detector.
    """

    name = "synthcp"
    subparts: ClassVar = {
        "segmenter": "segmenters",
        "generator": SpadeGenerator,
        "comparator": Comparator,
        "calibration": Calibration,
    }

    def __init__(
        self,
        source: str | os.PathLike[str] = "street",
        segmenter: Segmenter | None = None,
        generator: SpadeGenerator | None = None,
        comparator: Comparator | None = None,
        calibration: Calibration | None = None,
        combine: str | None = None,
        threshold: float = 0.999,
    ) -> None:
        super().__init__()
        if combine is not None and combine not in COMBINATIONS:
            raise ConfigError(
                f"there is no combination '{combine}'; choose one of: {', '.join(COMBINATIONS)}"
            )
        taken = segmenter is None and generator is None
        if taken:
            whole = load_synthcp(source)
            segmenter, generator = whole.segmenter, whole.generator
            comparator, calibration = whole.comparator, whole.calibration
        if segmenter is None or generator is None:
            raise ConfigError("synthcp needs both a segmenter and a generator, or the source of both")
        self.segmenter = segmenter
        self.generator = generator
        check_classes(self.segmenter, "generator", self.generator.classes)
        self.comparator = comparator
        if comparator is not None:
            check_classes(self.segmenter, "comparator", comparator.classes)
        self.calibration = calibration or Calibration()
        tells = self.comparator is not None and self.comparator.unknown is not None
        self.combine = combine or (
            "unknown" if tells else "product" if self.comparator is None else "comparison"
        )
        if self.combine == "comparison" and self.comparator is None:
            raise ConfigError("the combination 'comparison' needs a comparator: give one, or choose product")
        if self.combine == "unknown" and not tells:
            raise ConfigError(
                "the combination 'unknown' needs a comparator that tells what is unknown: train one with "
                "`oodseg train unknown`, or choose another combination"
            )
        self.threshold = threshold
        if taken:
            statistics = read_failure_config(source).get("anomaly_statistics", {}).get(self.combine)
            if statistics:
                self.normalizer = ScoreNormalizer(*statistics)
        self.eval()

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the networks' weights lie in the file beside them."""
        return {
            "segmenter": self.segmenter,
            "generator": self.generator,
            "comparator": self.comparator,
            "calibration": self.calibration,
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
        if self.combine == "unknown" and self.comparator is not None:
            told = tell_unknown(self.comparator, images, logits, made).sigmoid()
            return torch.log(doubt * told + _FLOOR)
        if self.combine == "comparison" and self.comparator is not None:
            odds = compare(self.comparator, images, logits, made)[0]
            return doubt * torch.sigmoid(self.calibration.slope * odds + self.calibration.offset)
        # Both at the generator's size: enlarged, what it made would differ by its blur alone.
        side = working_size(*size, self.generator.short_side, self.generator.multiple)
        taken = resize(images, side, antialias=True)
        stages = [feature_stages(self.segmenter, each) for each in (taken, made)]
        distance = 1 - cosine_similarity(stages[0], stages[1], size)
        if self.combine == "switch":
            return torch.where(1 - doubt > self.threshold, doubt, distance)
        return doubt * distance if self.combine == "product" else distance


def load_synthcp(source: str | os.PathLike[str]) -> SynthCP:
    """Loads a failure detector that reconstructs images.

    Args:
        source: Bundled name or folder.

    Raises:
        ConfigError: It is of another kind.
        WeightsError: There is none, or it is damaged.
    """
    detector = load_failure_detector(source)
    if not isinstance(detector, SynthCP):
        raise ConfigError(
            f"the failure detector {os.fspath(source)} is {detector.name} and reconstructs no images: "
            "give one of the kind synthcp"
        )
    return detector
