import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.core.parts import BoxPrompts
from oodseg.training.prompt_selection import (
    FALSE_PER_EMPTY,
    Found,
    assign,
    average_precision,
    calibrate,
    choose_min_confidence,
    summary,
)
from oodseg.training.score_cache import CachedScene


def found(boxes, confidence, truth) -> Found:
    def as_boxes(values):
        return np.array(values, np.float32).reshape(-1, 4)

    return Found(as_boxes(boxes), np.array(confidence, np.float32), as_boxes(truth))


A, B = (0, 0, 10, 10), (20, 20, 60, 60)
SHIFTED = (0, 2, 10, 12)  # IoU 2/3 with A


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
    assert values["false_per_picture"] == pytest.approx(1 / 3)
    assert values["false_per_empty"] == 0.5
    assert summary(scenes, 0.1)["false_per_picture"] == pytest.approx(2 / 3)


class Scripted:
    """Answers with the boxes of one scene after another."""

    def __init__(self, answers: list[Found]) -> None:
        self.answers = iter(answers)

    def candidates(self, scores: torch.Tensor) -> list[BoxPrompts]:
        each = next(self.answers)
        return [BoxPrompts(torch.from_numpy(each.boxes), torch.from_numpy(each.confidence))]


def choose(answers: list[Found]) -> dict:
    scenes = [CachedScene(np.zeros((1, 4, 4), np.float16), each.truth) for each in answers]
    return choose_min_confidence(Scripted(answers), scenes)


def test_empty_scenes_decide() -> None:
    empty = [found([A], [0.3 + index / 100], []) for index in range(40)]
    full = [found([A], [0.2], [A]) for _ in range(40)]
    choice = choose(empty + full)
    left = sum(float(each.confidence[0]) >= choice["min_confidence"] for each in empty)
    assert left <= FALSE_PER_EMPTY * len(empty)
    assert choice["min_confidence"] == pytest.approx(choice["quiet"], abs=1e-4)
    assert choice["summary"]["false_per_empty"] <= FALSE_PER_EMPTY


def test_best_f1_decides_where_empty_scenes_are_quiet() -> None:
    empty = [found([], [], []) for _ in range(10)]
    full = [found([A, B], [0.7, 0.4], [A]) for _ in range(10)]
    choice = choose(empty + full)
    assert choice["quiet"] == 0.0
    assert choice["min_confidence"] == pytest.approx(0.7, abs=1e-3)
    assert choice["summary"]["f1"] == 1.0


def test_ordinary_pictures_decide_alone() -> None:
    full = [found([A, B], [0.9, 0.4], [A]) for _ in range(2)]
    street = [found([A], [0.2 + index / 100], []) for index in range(20)]
    scenes = [CachedScene(np.zeros((1, 4, 4), np.float16), each.truth) for each in full]
    choice = choose_min_confidence(Scripted([*full, *street]), scenes, [torch.zeros(4, 4)] * 20)
    assert choice["best_f1"] == pytest.approx(0.9)
    left = sum(float(each.confidence[0]) >= choice["min_confidence"] for each in street)
    assert left == int(FALSE_PER_EMPTY * 20)
    assert choice["min_confidence"] == pytest.approx(choice["quiet"], abs=1e-4)


def test_no_box_at_all() -> None:
    assert choose([found([], [], []), found([], [], [A])])["min_confidence"] == 0.0


class Fixed:
    """Gives back what it was told, map after map; the map's first pixel says which."""

    def __init__(self, answers) -> None:
        self.answers = answers

    def candidates(self, scores):
        boxes, confidence = self.answers[int(scores[0, 0, 0])]
        return [BoxPrompts(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(confidence))]


def numbered(index: int, level: float = 0.0) -> np.ndarray:
    score = np.full((1, 40, 40), level, np.float16)
    score[0, 0, 0] = index
    return score


def test_calibration_gives_the_chance_of_an_object() -> None:
    # At a confidence of 0.5, 30 of 40 scenes hold a true box; of 40 ordinary pictures 10 hold a false one:
    # with one object a picture that is a chance of 0.75 / (0.75 + 0.25).
    hit, nothing = ([list(A)], [0.5]), ([], [])
    answers = [hit] * 30 + [nothing] * 10 + [hit] * 10 + [nothing] * 30
    scenes = [CachedScene(numbered(index), np.array([A], np.float32)) for index in range(40)]
    ordinary = [torch.from_numpy(numbered(index)[0].astype(np.float32)) for index in range(40, 80)]
    slope, _, offset = calibrate(Fixed(answers), scenes, ordinary)
    assert slope > 0
    assert 1 / (1 + math.exp(-offset)) == pytest.approx(0.75, abs=0.01)


def test_calibration_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    answers, scenes, ordinary, evidence = [], [], [], []
    for index in range(120):
        unknown = index < 80
        confidence = float(rng.beta(3, 2) if unknown else rng.beta(2, 3))
        level = float(np.float16(rng.normal(1.5 if unknown else 1.0)))
        answers.append(([list(A)], [confidence]))
        evidence.append([np.float32(confidence), level])
        if unknown:
            scenes.append(CachedScene(numbered(index, level), np.array([A], np.float32)))
        else:
            ordinary.append(torch.from_numpy(numbered(index, level)[0].astype(np.float32)))
    x = np.array(evidence, np.float64)
    x[:, 0] = np.log(x[:, 0] / (1 - x[:, 0]))
    hit = np.arange(120) < 80
    reference = LogisticRegression(C=1e6).fit(x, hit, np.where(hit, 1 / 80, 1 / 40) * 1e4)
    slope, level, offset = calibrate(Fixed(answers), scenes, ordinary)
    assert [slope, level] == pytest.approx(reference.coef_[0].tolist(), rel=0.02)
    assert offset == pytest.approx(float(reference.intercept_[0]), abs=0.02)


def test_nothing_to_calibrate_by_changes_nothing() -> None:
    scenes = [CachedScene(numbered(0), np.array([A], np.float32))]
    assert calibrate(Fixed([([], [])]), scenes, []) == (1.0, 0.0, 0.0)
