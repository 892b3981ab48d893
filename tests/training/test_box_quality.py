import math

import numpy as np
import pytest
import torch
from box_fakes import SHIFTED, A, B, blank, found, with_features
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.training.box_quality import assign, average_precision, shown, summary


@pytest.mark.parametrize(
    ("boxes", "truth", "min_iou", "expected"),
    [
        ([A, B], [B, A], 0.5, [1, 0]),
        ([SHIFTED], [A], 0.5, [0]),
        ([SHIFTED], [A], 0.75, [-1]),
        ([A, SHIFTED], [A], 0.5, [0, -1]),
        ([A], [], 0.5, [-1]),
        ([], [A], 0.5, []),
    ],
)
def test_assign(boxes, truth, min_iou, expected) -> None:
    assert assign(found(boxes, np.linspace(1, 0.5, len(boxes)), truth), min_iou).tolist() == expected


@pytest.mark.parametrize(
    ("scenes", "expected"),
    [
        ([found([A], [0.9], [A])], 1.0),
        ([found([B], [0.9], [A])], 0.0),
        ([found([A], [0.9], [A, B])], 0.5),
        ([found([B, A], [0.9, 0.8], [A])], 0.5),
        ([found([A], [0.4], [A]), found([B], [0.9], [])], 0.5),
        ([found([], [], [A])], 0.0),
    ],
)
def test_average_precision(scenes, expected) -> None:
    assert average_precision(scenes, 0.5) == pytest.approx(expected)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_average_precision_against_a_plain_sum(seed) -> None:
    rng = np.random.default_rng(seed)
    scenes = []
    for _ in range(4):
        truth = [(x, y, x + 20, y + 20) for x, y in rng.integers(0, 60, (rng.integers(0, 4), 2))]
        boxes = [(x, y, x + 20, y + 20) for x, y in rng.integers(0, 60, (rng.integers(0, 6), 2))]
        boxes += [each for each in truth if rng.random() < 0.7]
        scenes.append(found(boxes, np.sort(rng.random(len(boxes)))[::-1], truth))
    total = sum(len(each.truth) for each in scenes)
    if total == 0:
        assert math.isnan(average_precision(scenes, 0.5))
        return
    points = []
    for threshold in sorted({float(c) for each in scenes for c in each.confidence}, reverse=True):
        kept = [assign(each, 0.5)[each.confidence >= threshold] for each in scenes]
        true = sum(int((each >= 0).sum()) for each in kept)
        points.append((true / total, true / sum(len(each) for each in kept)))
    area, before = 0.0, 0.0
    for index, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[index:])
        before = recall
    assert average_precision(scenes, 0.5) == pytest.approx(area)


def test_summary_counts() -> None:
    scenes = [
        found([B, SHIFTED, (70, 70, 80, 80)], [0.9, 0.8, 0.2], [A, B]),
        found([A], [0.6], []),
        found([], [], []),
    ]
    values = summary(scenes, 0.5)
    assert values["recall50"] == 1.0
    assert values["recall75"] == 0.5
    assert values["recall50_small"] == values["recall50_medium"] == 1.0
    assert math.isnan(values["recall50_large"])
    assert values["precision50"] == pytest.approx(2 / 3)
    assert values["f1"] == pytest.approx(4 / 5)
    assert values["false_per_image"] == pytest.approx(1 / 3)
    assert values["false_per_empty"] == 0.5
    assert summary(scenes, 0.1)["false_per_image"] == pytest.approx(2 / 3)


def test_scenes_are_shown_with_their_features_unless_these_are_hidden() -> None:
    scores, features = shown(with_features(2), hidden=False)
    assert (scores.shape, scores.dtype, scores[0, 0, 0].item()) == ((1, 40, 40), torch.float32, 2)
    assert [tuple(each.shape) for each in features] == [(1, 3, 8, 8), (1, 5, 4, 4)]
    assert {each.dtype for each in features} == {torch.float32}
    assert all(bool((each == 2).all()) for each in features)
    assert shown(with_features(2), hidden=True)[1] is None
    assert shown(blank(np.zeros((0, 4), np.float32)), hidden=False)[1] is None
