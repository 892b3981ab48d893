from types import SimpleNamespace

import pytest
import torch
from torch import nn

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation
from oodseg.detectors.logit import LogitDetector
from oodseg.nn.uncertainty import energy
from oodseg.segmenters.own import CallableSegmenter

NAMES = ("road", "car", "sky", "person")


@pytest.mark.parametrize(
    "shape",
    [
        lambda logits: logits,
        lambda logits: (logits, "more"),
        lambda logits: {"out": logits, "aux": logits + 1},
        lambda logits: {"logits": logits},
        lambda logits: SimpleNamespace(logits=logits),
        Segmentation,
    ],
)
def test_every_way_of_giving_logits(shape):
    net = nn.Conv2d(3, 4, 1)
    batch = torch.rand(2, 3, 8, 10)
    found = CallableSegmenter(lambda images: shape(net(images)), NAMES).segment(batch)
    torch.testing.assert_close(found.logits, net(batch).detach())


def test_images_are_normalised_and_stretched():
    segmenter = CallableSegmenter(nn.Identity(), NAMES[:3], mean=[0.1, 0.2, 0.3], std=[1, 2, 4], multiple=8)
    logits = segmenter.segment(torch.full((1, 3, 9, 16), 0.5)).logits
    assert logits.shape == (1, 3, 16, 16)
    torch.testing.assert_close(logits[0, :, 4, 4], torch.tensor([0.4, 0.15, 0.05]))


def test_in_a_detector():
    net = nn.Conv2d(3, 4, 1).train()
    detector = LogitDetector(CallableSegmenter(net, NAMES), score="energy")
    images = torch.rand(1, 3, 12, 14)
    torch.testing.assert_close(detector.score(images), energy(net(images).detach()))
    assert not net.training
    with pytest.raises(ConfigError, match="export the network to ONNX"):
        _ = detector.config


@pytest.mark.parametrize("answer", [torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4), "logits", {"seg": 1}])
def test_wrong_answers_are_refused(answer):
    segmenter = CallableSegmenter(lambda images: answer, NAMES)
    with pytest.raises(ConfigError, match=r"instead of logits \[1, 4, h, w\]"):
        segmenter.segment(torch.rand(1, 3, 16, 16))
