import numpy as np
import pytest
import torch
from prompt_fakes import TINY, fill_run, with_features

from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.training.prompt_module import PromptSamples, _in_bfloat16, as_lists
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.score_cache import ScoreCache


@pytest.fixture
def run(tmp_path):
    return fill_run(tmp_path)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 60, 60), (0.5, 15, 45), (1.0, 0, 0)])
def test_features_are_hidden_as_often_as_asked_and_with_every_other_channel(run, share, least, most) -> None:
    cache = ScoreCache(run / "scores-train")
    samples = PromptSamples(cache, with_features(hidden_share=share, main_share=1.0))
    shown = sum(bool(samples(number)[2]) for number in range(60))
    assert least <= shown <= most
    # What lies behind the shipped score fits no other.
    others = PromptSamples(cache, with_features(hidden_share=0.0, main_share=0.0))
    assert len(cache[0].scores) == 2
    assert not any(others(number)[2] for number in range(60))
    plain = PromptSamples(cache, PromptRecipe(**TINY))
    assert not any(plain(number)[2] for number in range(8))


def test_a_batch_says_none_where_features_are_hidden() -> None:
    score, boxes = np.zeros((4, 6), np.float32), np.zeros((0, 4), np.float32)
    level = np.ones((3, 1, 1), np.float32)
    scores, found, features = as_lists([(score, boxes, [level]), (score, boxes, [])])
    assert [tuple(each.shape) for each in scores] == [(4, 6)] * 2
    assert [tuple(each.shape) for each in found] == [(0, 4)] * 2
    assert [tuple(each.shape) for each in features[0]] == [(3, 1, 1)]
    assert features[1] is None


def test_bfloat16_backbone_gives_float32_levels_close_to_the_exact_ones() -> None:
    torch.manual_seed(0)
    backbone = FasterRCNNPrompts().rcnn.backbone
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        exact = backbone(x)
        _in_bfloat16(backbone)
        reduced = backbone(x)
    assert list(exact) == list(reduced)
    for name in exact:
        assert reduced[name].dtype == torch.float32
        assert float((exact[name] - reduced[name]).abs().max()) < 0.05 * float(exact[name].abs().max())
