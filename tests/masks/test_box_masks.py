import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.core.registry import resolve
from oodseg.masks import MASKS, PromptableSegmenter
from oodseg.masks.box import BoxSegmenter


@pytest.mark.parametrize("name", ["box", "compact", "grabcut"])
def test_every_segmenter_without_a_source_keeps_the_contract(name):
    segmenter = resolve(MASKS, "masks", name)()
    assert isinstance(segmenter, PromptableSegmenter)
    assert segmenter.name == name
    rebuilt = resolve(MASKS, "masks", name)(**segmenter.config)
    assert rebuilt.config == segmenter.config
    masks = segmenter.segment(segmenter.embed(torch.rand(3, 40, 50)), torch.zeros(0, 4))
    assert masks.shape == (0, 40, 50)
    assert masks.dtype == torch.bool


def test_an_unknown_segmenter_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'samurai'.*box, compact"):
        resolve(MASKS, "masks", "samurai")


def test_boxes_are_filled_and_clipped():
    segmenter = BoxSegmenter()
    boxes = torch.tensor([[1.2, 2.0, 4.0, 5.5], [-3, -3, 2, 1], [20, 20, 30, 30]])
    masks = segmenter.segment(segmenter.embed(torch.rand(3, 8, 10)), boxes, torch.rand(4, 5))
    expected = torch.zeros(3, 8, 10, dtype=torch.bool)
    expected[0, 2:6, 1:4] = True
    expected[1, :1, :2] = True
    assert torch.equal(masks, expected)
