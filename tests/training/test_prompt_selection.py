import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.core.parts import BoxPrompts
from oodseg.training.prompt_selection import (
    FALSE_PER_IMAGE,
    Found,
    Ordinary,
    assign,
    average_precision,
    calibrate,
    choose_operating_points,
    collect,
    least_confidence,
    recall_curve,
    shown,
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
    assert values["false_per_image"] == pytest.approx(1 / 3)
    assert values["false_per_empty"] == 0.5
    assert summary(scenes, 0.1)["false_per_image"] == pytest.approx(2 / 3)


class Scripted:
    """Answers with the boxes of one scene after another; remembers the features it saw."""

    def __init__(self, answers: list[Found]) -> None:
        self.answers = iter(answers)
        self.seen: list = []

    def candidates(self, scores: torch.Tensor, features=None) -> list[BoxPrompts]:
        self.seen.append(features)
        each = next(self.answers)
        return [BoxPrompts(torch.from_numpy(each.boxes), torch.from_numpy(each.confidence))]


def blank(truth) -> CachedScene:
    return CachedScene(np.zeros((1, 4, 4), np.float16), truth)


def choose(answers: list[Found]) -> dict:
    return choose_operating_points(Scripted(answers), [blank(each.truth) for each in answers])


def boxes_left(found: list[Found], least: float) -> float:
    """Boxes per image."""
    return sum(int((each.confidence >= least).sum()) for each in found) / len(found)


def test_empty_scenes_decide() -> None:
    empty = [found([A], [0.3 + index / 100], []) for index in range(40)]
    full = [found([A], [0.2], [A]) for _ in range(40)]
    choice = choose(empty + full)
    points = choice["operating_points"]
    for name, allowed in FALSE_PER_IMAGE.items():
        assert boxes_left(empty, points[name]) <= allowed
        assert choice["summary"][name]["false_per_empty"] <= allowed
    for name in ("quiet", "balanced"):
        exact = least_confidence(empty, FALSE_PER_IMAGE[name])
        assert points[name] == pytest.approx(exact, abs=1e-4)
        # Not a box quieter than asked.
        assert boxes_left(empty, points[name]) == int(FALSE_PER_IMAGE[name] * 40) / 40


def test_best_f1_decides_where_empty_scenes_are_quiet() -> None:
    empty = [found([], [], []) for _ in range(10)]
    full = [found([A, B], [0.7, 0.4], [A]) for _ in range(10)]
    choice = choose(empty + full)
    assert choice["best_f1"] == pytest.approx(0.7)
    for name, point in choice["operating_points"].items():
        assert point == pytest.approx(0.7, abs=1e-3)
        assert choice["summary"][name]["f1"] == 1.0


def test_ordinary_images_decide_alone() -> None:
    full = [found([A, B], [0.9, 0.4], [A]) for _ in range(2)]
    street = [found([A], [0.2 + index / 100], []) for index in range(25)]
    images = [Ordinary(torch.zeros(4, 4))] * 25
    choice = choose_operating_points(Scripted([*full, *street]), [blank(each.truth) for each in full], images)
    assert choice["best_f1"] == pytest.approx(0.9)
    points = choice["operating_points"]
    for name, allowed in FALSE_PER_IMAGE.items():
        assert boxes_left(street, points[name]) == int(allowed * 25) / 25


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_operating_points_allow_what_they_say_and_become_readier(seed, has_ordinary) -> None:
    rng = np.random.default_rng(seed)

    def some(truth) -> Found:
        confidence = np.sort(rng.beta(1, 3, rng.integers(0, 5)))[::-1]
        return found([A] * len(confidence), confidence, truth)

    scenes = [some([A] if rng.random() < 0.5 else []) for _ in range(12)]
    street = [some([]) for _ in range(rng.integers(1, 20))] if has_ordinary else []
    images = [Ordinary(torch.zeros(4, 4))] * len(street)
    blanks = [blank(each.truth) for each in scenes]
    choice = choose_operating_points(Scripted([*scenes, *street]), blanks, images)
    points = choice["operating_points"]
    assert list(points) == ["quiet", "balanced", "thorough"]
    assert 1 >= points["quiet"] >= points["balanced"] >= points["thorough"] >= 0
    quiet = street or [each for each in scenes if len(each.truth) == 0]
    for name, allowed in FALSE_PER_IMAGE.items():
        if quiet:
            assert boxes_left(quiet, points[name]) <= allowed
    if not street:
        assert points["thorough"] >= choice["best_f1"] - 1e-4
    recall = [row["recall50"] for row in choice["curve"]]
    assert len(choice["curve"]) == 10
    assert np.isnan(recall).all() or (np.diff(recall) >= 0).all()


def test_no_box_at_all() -> None:
    choice = choose([found([], [], []), found([], [], [A])])
    assert choice["operating_points"] == dict.fromkeys(FALSE_PER_IMAGE, 0.0)


@pytest.mark.parametrize(
    ("confidence", "allowed", "left"),
    [
        ([0.9, 0.8, 0.7, 0.6], 0.0, 0),
        ([0.9, 0.8, 0.7, 0.6], 0.5, 2),
        ([0.9, 0.8, 0.7, 0.6], 0.74, 2),
        ([0.9, 0.8, 0.7, 0.6], 1.0, 4),
        ([0.9, 0.8, 0.8, 0.8], 0.5, 1),  # ties go together
    ],
)
def test_least_confidence_counts_boxes_per_empty_image(confidence, allowed, left) -> None:
    images = [found([A], [each], []) for each in confidence]
    # Images that hold something do not count.
    least = least_confidence([*images, found([B], [0.95], [A])], allowed)
    assert sum(each >= least for each in np.float32(confidence)) == left


def test_the_curve_is_recall_over_false_boxes() -> None:
    scenes = [found([A], [0.5 + index / 20], [A]) for index in range(10)]
    known = [found([A], [0.4 + index / 100], []) for index in range(50)]
    curve = recall_curve(scenes, known)
    assert [row["false_per_image"] for row in curve] == [
        0.01,
        0.02,
        0.04,
        0.05,
        0.08,
        0.1,
        0.2,
        0.4,
        0.5,
        1.0,
    ]
    assert curve[-1] == {"false_per_image": 1.0, "confidence": 0.0, "recall50": 1.0, "f1": 1.0}
    for row in curve[:-1]:
        assert boxes_left(known, row["confidence"]) <= row["false_per_image"]
        hit = [each for each in scenes if each.confidence[0] >= row["confidence"]]
        assert row["recall50"] == pytest.approx(len(hit) / 10)
    assert curve[0]["recall50"] < 0.4


def with_features(index: int) -> CachedScene:
    features = (np.full((3, 8, 8), index, np.float16), np.full((5, 4, 4), index, np.float16))
    return CachedScene(numbered(index), np.array([A], np.float32), features)


def test_scenes_are_shown_with_their_features_unless_these_are_hidden() -> None:
    scores, features = shown(with_features(2), hidden=False)
    assert (scores.shape, scores.dtype, scores[0, 0, 0].item()) == ((1, 40, 40), torch.float32, 2)
    assert [tuple(each.shape) for each in features] == [(1, 3, 8, 8), (1, 5, 4, 4)]
    assert {each.dtype for each in features} == {torch.float32}
    assert all(bool((each == 2).all()) for each in features)
    assert shown(with_features(2), hidden=True)[1] is None
    assert shown(blank(np.zeros((0, 4), np.float32)), hidden=False)[1] is None


@pytest.mark.parametrize("hidden", [False, True])
def test_every_measurement_shows_or_hides_features(hidden) -> None:
    answer = found([A], [0.5], [A])
    image = Ordinary(torch.zeros(40, 40), (torch.full((1, 3, 8, 8), 9.0), torch.full((1, 5, 4, 4), 9.0)))
    for measure, count in (
        (lambda generator: collect(generator, [with_features(1)], hidden), 1),
        (lambda generator: calibrate(generator, [with_features(1)], [image], hidden), 2),
        (lambda generator: choose_operating_points(generator, [with_features(1)], [image], hidden), 2),
    ):
        generator = Scripted([answer] * 2)
        measure(generator)
        assert len(generator.seen) == count
        if hidden:
            assert generator.seen == [None] * count
        else:
            assert [float(each[0].mean()) for each in generator.seen] == [1.0, 9.0][:count]


class Fixed:
    """Gives back what it was told, map after map; the map's first pixel says which."""

    def __init__(self, answers) -> None:
        self.answers = answers

    def candidates(self, scores, features=None):
        boxes, confidence = self.answers[int(scores[0, 0, 0])]
        return [BoxPrompts(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(confidence))]


def numbered(index: int, level: float = 0.0) -> np.ndarray:
    score = np.full((1, 40, 40), level, np.float16)
    score[0, 0, 0] = index
    return score


def street(index: int, level: float = 0.0) -> Ordinary:
    return Ordinary(torch.from_numpy(numbered(index, level)[0].astype(np.float32)))


def test_calibration_gives_the_chance_of_an_object() -> None:
    # At a confidence of 0.5, 30 of 40 scenes hold a true box; of 40 ordinary images 10 hold a false one:
    # with one object per image that is a chance of 0.75 / (0.75 + 0.25).
    hit, nothing = ([list(A)], [0.5]), ([], [])
    answers = [hit] * 30 + [nothing] * 10 + [hit] * 10 + [nothing] * 30
    scenes = [CachedScene(numbered(index), np.array([A], np.float32)) for index in range(40)]
    ordinary = [street(index) for index in range(40, 80)]
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
            ordinary.append(street(index, level))
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
