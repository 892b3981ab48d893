"""Synthesize, then compare: where a segmentation itself is wrong; a new way is one file and one line here."""

from oodseg.resynthesis.base import Assessment, FailureDetector

FAILURES: dict[str, str] = {
    "synthcp": "oodseg.resynthesis.synthcp:SynthCP",
    "direct": "oodseg.resynthesis.synthcp:DirectPrediction",
    "msp": "oodseg.resynthesis.baselines:MSP",
    "entropy": "oodseg.resynthesis.baselines:Entropy",
    "energy": "oodseg.resynthesis.baselines:Energy",
    "max_logit": "oodseg.resynthesis.baselines:MaxLogit",
    "mc_dropout": "oodseg.resynthesis.baselines:MCDropout",
    "tcp": "oodseg.resynthesis.baselines:TCP",
}

__all__ = ["FAILURES", "Assessment", "FailureDetector"]
