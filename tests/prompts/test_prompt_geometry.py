import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.core.errors import ScoreMapError
from oodseg.prompts.geometry import (
    as_prompts,
    checked,
    middle_score,
    overlap_of_smaller,
    suppress_nested,
)

corner = st.integers(0, 30)
side = st.integers(1, 20)
a_box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
box_lists = st.lists(a_box, min_size=0, max_size=8)


def as_tensor(boxes: list[tuple[int, int, int, int]]) -> torch.Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 10, 10), (2, 2, 4, 4), 1.0),
        ((2, 2, 4, 4), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 0.5),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
        ((0, 0, 10, 10), (30, 30, 40, 40), 0.0),
        ((0, 0, 4, 4), (2, 2, 10, 10), 0.25),
        ((3, 3, 3, 9), (0, 0, 10, 10), 0.0),
    ],
)
def test_overlap_of_smaller(first, second, expected) -> None:
    assert overlap_of_smaller(as_tensor([first, second]))[0, 1].item() == pytest.approx(expected)


@given(box_lists)
@settings(max_examples=50, deadline=None)
def test_overlap_equals_counting_pixels(boxes) -> None:
    def area(box):
        mask = np.zeros((60, 60), bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        return mask

    masks = [area(box) for box in boxes]
    expected = [[(a & b).sum() / min(a.sum(), b.sum()) for b in masks] for a in masks]
    got = overlap_of_smaller(as_tensor(boxes)).numpy()
    np.testing.assert_allclose(got, np.array(expected).reshape(got.shape), rtol=1e-6)


@given(box_lists, st.floats(0.05, 1.0))
@settings(max_examples=50, deadline=None)
def test_suppression_keeps_the_first_and_leaves_no_clash(boxes, share) -> None:
    tensor = as_tensor(boxes)
    kept = suppress_nested(tensor, share)
    overlap = overlap_of_smaller(tensor)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert (len(kept) > 0) == (len(boxes) > 0)
    for index in range(len(boxes)):
        before = kept[kept < index]
        assert (index in kept.tolist()) == (not bool((overlap[index, before] > share).any()))


@given(box_lists)
@settings(max_examples=30, deadline=None)
def test_suppression_of_a_prefix_is_a_prefix(boxes) -> None:
    whole = suppress_nested(as_tensor(boxes), 0.5).tolist()
    half = len(boxes) // 2
    assert suppress_nested(as_tensor(boxes[:half]), 0.5).tolist() == [each for each in whole if each < half]


def test_part_goes_and_neighbour_stays() -> None:
    boxes = as_tensor([(0, 0, 100, 100), (10, 10, 30, 30), (90, 90, 140, 140), (0, 0, 150, 150)])
    assert suppress_nested(boxes, 0.8).tolist() == [0, 2]
    assert suppress_nested(boxes, 1.0).tolist() == [0, 1, 2, 3]


def test_result_is_sorted_and_limited() -> None:
    boxes = torch.arange(12.0).reshape(3, 4)
    prompts = as_prompts(boxes, torch.tensor([0.2, 0.9, 0.5], dtype=torch.float64), 2)
    assert prompts.boxes.tolist() == [boxes[1].tolist(), boxes[2].tolist()]
    assert prompts.confidence.tolist() == pytest.approx([0.9, 0.5])
    assert prompts.boxes.dtype == prompts.confidence.dtype == torch.float32


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4), (1, 0, 4), (1, 4, 0)])
def test_wrong_shape_is_named(shape) -> None:
    with pytest.raises(ScoreMapError, match="shape"):
        checked(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(value) -> None:
    scores = torch.zeros(2, 3, 4)
    scores[1, 2, 3] = value
    with pytest.raises(ScoreMapError, match="NaN or infinite"):
        checked(scores)


def test_checked_is_float32() -> None:
    assert checked(torch.zeros(1, 2, 2, dtype=torch.float64)).dtype == torch.float32


def test_the_middle_of_a_box_counts_and_its_margin_does_not() -> None:
    score = torch.zeros(60, 80)
    score[20:40, 30:50] = 3.0
    score[0:20, 60:80] = 1.0
    boxes = torch.tensor([[24.0, 14.0, 56.0, 46.0], [60.0, 0.0, 80.0, 20.0], [0.0, 40.0, 20.0, 60.0]])
    torch.testing.assert_close(middle_score(score, boxes), torch.tensor([3.0, 1.0, 0.0]), atol=0.1, rtol=0)
    assert middle_score(score, boxes[:0]).shape == (0,)


def test_the_middle_agrees_with_a_plain_mean() -> None:
    score = torch.from_numpy(cv2.GaussianBlur(np.random.default_rng(0).normal(size=(90, 120)), (0, 0), 3))
    for x0, y0, width, height in ((10, 10, 50, 40), (60, 30, 40, 50), (0, 0, 120, 90)):
        found = middle_score(score, torch.tensor([[x0, y0, x0 + width, y0 + height]], dtype=torch.float32))
        rows = slice(round(y0 + 0.2 * height), round(y0 + 0.8 * height))
        columns = slice(round(x0 + 0.2 * width), round(x0 + 0.8 * width))
        assert float(found) == pytest.approx(float(score[rows, columns].mean()), abs=0.01)
