import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.segmenters import Segmenter, make_segmenter
from oodseg.segmenters.given import GivenLabels


@pytest.mark.parametrize("window", [None, (-100, 240)])
def test_its_config_rebuilds_it(window):
    segmenter = GivenLabels(["background", "liver"], window)
    again = make_segmenter({"name": "given", "config": segmenter.config})
    assert isinstance(again, Segmenter)
    assert again.config == segmenter.config
    assert again.classes == ("background", "liver")


@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 6)])
def test_logits_say_the_labels_whatever_the_picture(shape):
    segmenter = GivenLabels("abc")
    segmenter.labels = torch.randint(0, 3, shape, dtype=torch.uint8)
    batch = shape[0] if len(shape) == 3 else 1
    logits = segmenter.segment(torch.rand(batch, 3, 4, 6)).logits
    assert logits.shape == (batch, 3, 4, 6)
    assert torch.equal(logits.argmax(1), segmenter.labels.reshape(batch, 4, 6).long())
    assert logits.softmax(1).amax(1).min() > 0.999


def test_without_labels_or_with_others():
    segmenter = GivenLabels("ab")
    with pytest.raises(ConfigError, match="given none"):
        segmenter.segment(torch.zeros(1, 3, 4, 6))
    segmenter.labels = torch.zeros(3, 3)
    with pytest.raises(ConfigError, match="one size"):
        segmenter.segment(torch.zeros(1, 3, 4, 6))
