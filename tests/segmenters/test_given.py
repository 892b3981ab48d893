import pytest
import torch

from failure_parts import CLASSES, make_segmenter
from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.parts import describe
from oodseg.failures.detector import full_logits
from oodseg.segmenters import Segmenter
from oodseg.segmenters.given import GivenLabels


@pytest.mark.parametrize("window", [None, (-100, 240)])
def test_its_config_rebuilds_it(window):
    segmenter = GivenLabels(["background", "liver"], window)
    again = build("segmenters", describe(segmenter))
    assert isinstance(again, Segmenter)
    assert again.config == segmenter.config
    assert again.classes == ("background", "liver")


@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 6)])
def test_logits_say_the_labels(shape):
    labels = torch.randint(0, 3, shape, dtype=torch.uint8)
    batch = shape[0] if len(shape) == 3 else 1
    logits = GivenLabels("abc").segmentation_of(labels, (4, 6)).logits
    assert logits.shape == (batch, 3, 4, 6)
    assert torch.equal(logits.argmax(1), labels.reshape(batch, 4, 6).long())
    assert logits.softmax(1).amax(1).min() > 0.999


def test_without_labels_or_with_others():
    segmenter = GivenLabels("ab")
    with pytest.raises(ConfigError, match="given none"):
        segmenter.segment(torch.zeros(1, 3, 4, 6))
    with pytest.raises(ConfigError, match="one size"):
        segmenter.segmentation_of(torch.zeros(3, 3), (4, 6))


def test_a_fallback_labels_what_comes_without_labels():
    torch.manual_seed(0)
    network = make_segmenter()
    segmenter = GivenLabels(CLASSES, None, network)
    images = torch.rand(2, 3, 40, 50)
    logits = segmenter.segment(images).logits
    expected = full_logits(network.segment(images), (40, 50)).argmax(1)
    assert torch.equal(logits.argmax(1), expected)
    assert logits.softmax(1).amax(1).min() > 0.999
    assert "fallback.class_head.weight" in segmenter.state_dict(), "it is saved along"
    assert segmenter.config["fallback"]["name"] == "street"
    with pytest.raises(ConfigError, match="take one of the same classes"):
        GivenLabels("ab", None, network)
