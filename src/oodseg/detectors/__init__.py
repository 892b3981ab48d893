"""Image to anomaly score, higher = more anomalous; a new detector is one new file and one line here."""

from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector

DETECTORS: dict[str, str] = {
    "street": "oodseg.detectors.street:StreetDetector",
    "logit": "oodseg.detectors.logit:LogitDetector",
    "meta_ood": "oodseg.detectors.meta_ood:MetaOodDetector",
    "energy_margin": "oodseg.detectors.energy_margin:EnergyMarginDetector",
    "pebal": "oodseg.detectors.pebal:PebalDetector",
    "rpl": "oodseg.detectors.rpl:RplDetector",
    "densehybrid": "oodseg.detectors.densehybrid:DenseHybridDetector",
    "mask2anomaly": "oodseg.detectors.taught_queries:Mask2AnomalyDetector",
    "rba": "oodseg.detectors.taught_queries:RbaDetector",
    "synboost": "oodseg.failures.synboost:SynBoostDetector",
    "synthcp": "oodseg.failures.synthcp_detector:SynthCPDetector",
}

__all__ = ["DETECTORS", "Detector", "ScoreNormalizer"]
