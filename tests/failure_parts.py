"""Untrained parts of failure detectors, and recipes that train them in a second."""

import torch

from oodseg.failures.augmented import TestTimeAugmentation
from oodseg.failures.autoencoder import Autoencoder, ImageAutoencoder
from oodseg.failures.baselines import MSP, Energy, Entropy, MaxLogit
from oodseg.failures.comparator import Comparator
from oodseg.failures.crf import CRF
from oodseg.failures.ensemble import Ensemble
from oodseg.failures.feature_distance import FeatureDistance
from oodseg.failures.mc_dropout import MCDropout
from oodseg.failures.observer import Observer, ObserverNet
from oodseg.failures.second_opinion import SecondOpinion
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.synthcp import DirectPrediction, SynthCP
from oodseg.failures.tcp import TCP, TCPHead
from oodseg.failures.vae_alarm import ShapeVAE, VAEAlarm
from oodseg.segmenters.street import StreetNet

CLASSES = ("road", "car", "sky")
FOLD = {
    "size": (32, 64), "widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1], "max_steps": 2, "batch_size": 2,
    "workers": 0, "precision": "32-true",
}  # fmt: skip
GENERATOR = {
    "size": (32, 48), "widths": [8, 8, 4], "discriminator_width": 4, "discriminator_layers": 2,
    "max_steps": 2, "batch_size": 2, "workers": 0, "val_images": 2, "val_every_steps": 2,
    "precision": "32-true",
}  # fmt: skip
COMPARATOR = {
    "folds": 2, "segmenter": FOLD, "size": (32, 64), "widths": [8, 8, 16], "fused": 4, "max_steps": 2,
    "batch_size": 2, "workers": 0, "precision": "32-true", "val_every_steps": 2, "calibration_images": 4,
    "tcp": {"max_steps": 2, "batch_size": 2, "workers": 0, "precision": "32-true"},
    "observer": {"width": 4, "max_steps": 2, "batch_size": 2, "workers": 0, "precision": "32-true"},
    "autoencoder": {
        "size": (16, 16), "widths": [4, 4], "latent": 2, "max_steps": 2, "batch_size": 2, "workers": 0,
        "precision": "32-true",
    },
    "vae": {
        "side": 16, "widths": [4, 4], "latent": 2, "max_steps": 2, "batch_size": 2, "workers": 0,
        "precision": "32-true",
    },
}  # fmt: skip


def frozen(network):
    """For use, with weights that saving in float16 does not change."""
    for value in network.parameters():
        value.data = value.data.half().float()
    return network.eval().requires_grad_(False)


def make_segmenter(classes=CLASSES, seed=0) -> StreetNet:
    torch.manual_seed(seed)
    return frozen(StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1], objectness=False, classes=classes))


def make_generator(count=3) -> SpadeGenerator:
    torch.manual_seed(1)
    return frozen(SpadeGenerator(count, [8, 8, 4], 32))


def make_comparator(resynthesis=True, count=3, unknown=False) -> Comparator:
    torch.manual_seed(2)
    return frozen(Comparator(count, [8, 8, 16], 4, resynthesis, 32, unknown))


def make_vae(count=3) -> ShapeVAE:
    torch.manual_seed(3)
    return frozen(ShapeVAE(count, 16, [4, 6], 5))


def make_distance(segmenter) -> FeatureDistance:
    """Fitted to noise."""
    made = FeatureDistance(segmenter)
    torch.manual_seed(4)
    images, truth = torch.rand(2, 1, 3, 64, 64), torch.randint(0, 3, (2, 64, 64))
    made.fit((segmenter.segment(image), labels) for image, labels in zip(images, truth, strict=True))
    return made


def make_detectors():
    """One of every kind around the same segmenter."""
    segmenter = make_segmenter()
    kinds = (MSP, Entropy, Energy, MaxLogit, CRF, MCDropout, TestTimeAugmentation)
    simple = [kind(segmenter) for kind in kinds]
    torch.manual_seed(5)
    return [
        *simple,
        Ensemble(segmenter, [make_segmenter(seed=3), make_segmenter(seed=4)]),
        TCP(segmenter, frozen(TCPHead(6, 4))),
        VAEAlarm(segmenter, make_vae()),
        make_distance(segmenter),
        Observer(segmenter, frozen(ObserverNet(6, 4))),
        Autoencoder(segmenter, frozen(ImageAutoencoder([4, 4], 2, 16))),
        DirectPrediction(segmenter, make_comparator(False)),
        SynthCP(segmenter, make_generator(), make_comparator()),
        SecondOpinion(MSP(segmenter), [make_segmenter(seed=3)]),
    ]
