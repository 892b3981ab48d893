"""Synthesize, then compare: where a segmentation itself is wrong; a new way is one file and one line here."""

from oodseg.core.parts import Assessment, Judge

FAILURES: dict[str, str] = {
    "synthcp": "oodseg.failures.synthcp:SynthCP",
    "direct": "oodseg.failures.synthcp:DirectPrediction",
    "msp": "oodseg.failures.baselines:MSP",
    "entropy": "oodseg.failures.baselines:Entropy",
    "energy": "oodseg.failures.baselines:Energy",
    "max_logit": "oodseg.failures.baselines:MaxLogit",
    "mc_dropout": "oodseg.failures.mc_dropout:MCDropout",
    "consistency": "oodseg.failures.consistency:Consistency",
    "tta": "oodseg.failures.augmented:TestTimeAugmentation",
    "ensemble": "oodseg.failures.ensemble:Ensemble",
    "second_opinion": "oodseg.failures.second_opinion:SecondOpinion",
    "tcp": "oodseg.failures.tcp:TCP",
    "crf": "oodseg.failures.crf:CRF",
    "mahalanobis": "oodseg.failures.feature_distance:FeatureDistance",
    "observer": "oodseg.failures.observer:Observer",
    "autoencoder": "oodseg.failures.autoencoder:Autoencoder",
    "vae_alarm": "oodseg.failures.vae_alarm:VAEAlarm",
}

__all__ = ["FAILURES", "Assessment", "Judge"]
