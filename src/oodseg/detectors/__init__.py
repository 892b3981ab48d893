"""Image to anomaly score, higher = more anomalous; a new detector is one new file and one line here."""

from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector

DETECTORS: dict[str, str] = {
    "street": "oodseg.detectors.street:StreetDetector",
    "logit": "oodseg.detectors.logit:LogitDetector",
    "rpl": "oodseg.detectors.published:rpl",
    "synthcp": "oodseg.failures.synthcp_detector:SynthCPDetector",
}

__all__ = ["DETECTORS", "Detector", "ScoreNormalizer"]
