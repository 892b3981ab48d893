from types import SimpleNamespace

import pytest
import torch

from failure_parts import make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.failures.features import cosine_similarity, feature_stages
from oodseg.segmenters import Segmentation


def test_the_street_network_gives_three_stages_of_any_image() -> None:
    stages = feature_stages(make_segmenter(), torch.rand(2, 3, 50, 70))
    assert [tuple(each.shape) for each in stages] == [(2, 8, 4, 6), (2, 8, 8, 12), (2, 6, 16, 24)]


def test_other_segmenters_give_their_last_features() -> None:
    features = torch.rand(1, 4, 5, 6)
    other = SimpleNamespace(
        name="mine", segment=lambda images: Segmentation(torch.zeros(1, 2, 5, 6), features)
    )
    assert feature_stages(other, torch.rand(1, 3, 20, 24))[0] is features
    none = SimpleNamespace(name="mine", segment=lambda images: Segmentation(torch.zeros(1, 2, 5, 6)))
    with pytest.raises(ConfigError, match="mine gives no features"):
        feature_stages(none, torch.rand(1, 3, 20, 24))


def test_cosine_similarity() -> None:
    one = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    other = torch.tensor([0.0, 5.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    assert torch.allclose(cosine_similarity([one], [3 * one], (8, 6)), torch.ones(1, 8, 6))
    assert torch.allclose(cosine_similarity([one], [other], (8, 6)), torch.zeros(1, 8, 6))
    assert torch.allclose(cosine_similarity([one, one], [one, other], (8, 6)), torch.full((1, 8, 6), 0.5))
    assert torch.allclose(cosine_similarity([one], [-one], (8, 6)), -torch.ones(1, 8, 6))
