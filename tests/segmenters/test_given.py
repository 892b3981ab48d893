import pytest
import torch

from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.parts import describe
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
