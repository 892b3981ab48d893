import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.registry import resolve
from oodseg.prompts import PROMPTS, PromptGenerator
from oodseg.prompts.components import ComponentPrompts


def test_is_registered_and_rebuilt_from_its_config() -> None:
    generator = ComponentPrompts(threshold=2.5, min_area=9, max_boxes=7)
    again = resolve(PROMPTS, "prompts", "components")(**generator.config)
    assert isinstance(again, PromptGenerator)
    assert again.config == generator.config == {"threshold": 2.5, "min_area": 9, "max_boxes": 7}


def test_boxes_are_tight_and_the_higher_mean_comes_first() -> None:
    scores = torch.zeros(2, 40, 60)
    scores[0, 5:15, 10:30] = 4.0
    scores[0, 20:30, 40:50] = 8.0
    scores[0, 35:37, 0:2] = 9.0  # too small
    first, second = ComponentPrompts(threshold=3.0, min_area=50).propose(scores)
    assert first.boxes.tolist() == [[40, 20, 50, 30], [10, 5, 30, 15]]
    assert first.confidence.tolist() == pytest.approx([1 / (1 + np.exp(-5)), 1 / (1 + np.exp(-1))])
    assert second.boxes.shape == (0, 4)
    assert second.confidence.shape == (0,)


def test_diagonal_neighbours_are_one_component() -> None:
    scores = torch.zeros(1, 10, 10)
    scores[0, 2:4, 2:4] = scores[0, 4:6, 4:6] = 5.0
    assert ComponentPrompts(min_area=1).propose(scores)[0].boxes.tolist() == [[2, 2, 6, 6]]


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_agrees_with_scipy(seed, min_area) -> None:
    score = np.random.default_rng(seed).normal(0, 3, (17, 23)).astype(np.float32)
    labels, _ = ndimage.label(score > 2.0, np.ones((3, 3)))
    expected = {}
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = score[labels == index]
        if len(inside) >= min_area:
            mean = float(inside.mean(dtype=np.float64))
            expected[(columns.start, rows.start, columns.stop, rows.stop)] = 1 / (1 + np.exp(2.0 - mean))
    prompts = ComponentPrompts(2.0, min_area, max_boxes=1000).propose(torch.from_numpy(score)[None])[0]
    got = {
        tuple(int(v) for v in box): float(c) for box, c in zip(prompts.boxes, prompts.confidence, strict=True)
    }
    # Two components may share one tight box; the maps then agree on the set of boxes only.
    assert set(got) == set(expected)
    if len(got) == len(prompts.boxes):
        assert got == pytest.approx(expected, rel=1e-4)
    assert bool((prompts.confidence.diff() <= 0).all())


def test_keeps_the_most_confident() -> None:
    scores = torch.zeros(1, 10, 60)
    for index in range(6):
        scores[0, 2:8, index * 10 : index * 10 + 6] = 4.0 + index
    prompts = ComponentPrompts(min_area=1, max_boxes=2).propose(scores)[0]
    assert prompts.boxes[:, 0].tolist() == [50, 40]


@pytest.mark.parametrize("arguments", [{"min_area": 0}, {"max_boxes": 0}])
def test_refuses(arguments) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        ComponentPrompts(**arguments)


def test_refuses_a_score_map_with_nan() -> None:
    with pytest.raises(ScoreMapError):
        ComponentPrompts().propose(torch.full((1, 4, 4), float("nan")))
