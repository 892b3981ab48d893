"""Picture to anomaly score, higher = more anomalous; a new detector is one new file and one line here."""

from oodseg.detectors.base import Detector
from oodseg.detectors.normalization import ScoreNormalizer

DETECTORS: dict[str, str] = {
    "street": "oodseg.detectors.street:StreetDetector",
    "logit": "oodseg.detectors.logit:LogitDetector",
    "synthcp": "oodseg.detectors.synthcp:SynthCPDetector",
}

__all__ = ["DETECTORS", "Detector", "ScoreNormalizer"]
