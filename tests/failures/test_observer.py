import pytest
import torch

from failure_parts import frozen, make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.failures.observer import Observer, ObserverNet
from oodseg.segmenters.given import GivenLabels


def test_the_observer_sees_image_and_features():
    torch.manual_seed(0)
    network = frozen(ObserverNet(6, 4))
    images, features = torch.rand(2, 3, 30, 40), torch.rand(2, 6, 8, 10)
    odds = network(images, features)
    assert odds.shape == (2, 8, 10)
    assert not torch.equal(odds, network(images, torch.rand(2, 6, 8, 10)))
    assert not torch.equal(odds, network(torch.rand(2, 3, 30, 40), features))


def test_what_is_measured_is_what_it_says():
    network = frozen(ObserverNet(6, 4))
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.constant_(network.head.bias, 1.5)
    found = Observer(make_segmenter(), network).measure(torch.rand(3, 50, 70))
    torch.testing.assert_close(found.score, torch.full((50, 70), 1.5))


def test_it_needs_features():
    with pytest.raises(ConfigError, match="given gives none: choose msp"):
        Observer(GivenLabels("abc"), ObserverNet(6, 4)).assess(torch.rand(3, 8, 8), torch.zeros(8, 8))
