import numpy as np
import pytest
import torch
from box_fakes import A, B, Scripted, blank, found, with_features
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.training.box_calibration import calibrate
from oodseg.training.box_quality import Found, collect
from oodseg.training.operating_points import (
    FALSE_PER_IMAGE,
    choose_operating_points,
    least_confidence,
    recall_curve,
)
from oodseg.training.score_source import Ordinary


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
