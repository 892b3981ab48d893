import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from oodseg.training.score_augment import ScoreAugment

QUIET = {"flip": 0.0, "fluctuation": 0.0}


def scene(height: int = 60, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    score = np.zeros((height, width), np.float16)
    score[10:30, 20:50] = 5.0
    return score, np.array([[20, 10, 50, 30]], np.float32)


def test_nothing_asked_nothing_done(rng) -> None:
    score, boxes = scene()
    new_score, new_boxes = ScoreAugment(**QUIET)(score, boxes, rng)
    np.testing.assert_array_equal(new_score, score)
    np.testing.assert_array_equal(new_boxes, boxes)
    assert new_score.dtype == new_boxes.dtype == np.float32


def test_box_follows_the_mirror(rng) -> None:
    score, boxes = ScoreAugment(flip=1.0, fluctuation=0.0)(*scene(), rng)
    assert boxes.tolist() == [[30, 10, 60, 30]]
    assert score[10:30, 30:60].min() == 5.0
    assert score.sum() == 20 * 30 * 5


@given(st.floats(0.5, 2.0), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_box_stays_around_the_object_at_any_scale(factor, seed) -> None:
    score, boxes = scene()
    new_score, new_boxes = ScoreAugment(**QUIET, scale=(factor, factor))(
        score, boxes, np.random.default_rng(seed)
    )
    assert new_score.shape[0] <= 60
    assert new_score.shape[1] <= 80
    ys, xs = np.nonzero(new_score > 2.5)
    if len(new_boxes) == 0:
        assert len(ys) <= 0.3 * 600 * factor**2
    else:
        expected = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(new_boxes[0], expected, atol=1.0)


def test_boxes_that_get_too_small_go(rng) -> None:
    score, _ = scene()
    _, boxes = ScoreAugment(**QUIET, scale=(0.5, 0.5))(
        score, np.array([[0, 0, 7, 30], [0, 0, 8, 30]], np.float32), rng
    )
    assert boxes.tolist() == [[0, 0, 4, 15]]


def test_empty_scene_stays_empty(rng) -> None:
    score, _ = scene()
    augment = ScoreAugment(flip=1.0, scale=(0.6, 0.7), gain=(0.7, 1.4), bias=0.3)
    assert augment(score, np.zeros((0, 4), np.float32), rng)[1].shape == (0, 4)


def test_fluctuation_is_one_factor_an_element_within_its_range(rng) -> None:
    score = np.full((50, 50), 4.0, np.float32)
    augment = ScoreAugment(flip=0.0, fluctuation=0.01)
    first, _ = augment(score, np.zeros((0, 4)), rng)
    second, _ = augment(score, np.zeros((0, 4)), rng)
    ratio = first / score
    assert 0.99 <= ratio.min() < 0.991 < 1.009 < ratio.max() <= 1.01
    assert not np.array_equal(first, second)


def test_gain_and_bias_are_affine_and_clamped(rng) -> None:
    score = np.linspace(-4, 16, 100, dtype=np.float32).reshape(10, 10)
    new, _ = ScoreAugment(**QUIET, gain=(1.4, 1.4), bias=0.3)(score, np.zeros((0, 4)), rng)
    inside = (new > -4) & (new < 16)
    shift = new[inside] - 1.4 * score[inside]
    assert np.ptp(shift) < 1e-4
    assert abs(shift[0]) <= 0.3
    assert (new.min(), new.max()) == (-4, 16)


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError):
        ScoreAugment(shear=1)


def test_unevenness_is_smooth_and_no_stronger_than_asked(rng) -> None:
    flat = np.zeros((90, 120), np.float32)
    spread = []
    for _ in range(30):
        score, _ = ScoreAugment(**QUIET, unevenness=0.5)(flat, np.zeros((0, 4), np.float32), rng)
        # Neighbouring pixels differ far less than far ones.
        assert np.diff(score, axis=1).std() <= 0.25 * score.std() + 1e-6
        spread.append(score.std())
    assert 0.02 < np.mean(spread) < 0.5
    assert max(spread) < 0.8


def test_fading_takes_from_objects_and_from_nothing_else() -> None:
    score, boxes = scene()
    score = score + 1
    lost, uneven = [], 0
    for seed in range(40):
        faded, kept = ScoreAugment(**QUIET, fading=1.0)(score, boxes, np.random.default_rng(seed))
        np.testing.assert_array_equal(kept, boxes)
        outside = np.ones(score.shape, bool)
        outside[10:30, 20:50] = False
        assert (faded[outside] == 1).all()
        inside = faded[10:30, 20:50]
        # Never below what surrounds it, never above what it was.
        assert inside.min() >= 1
        assert inside.max() <= 6
        lost.append(float((6 - inside).mean()))
        uneven += bool(np.ptp(inside) > 0.5)
    assert min(lost) > 0
    assert 5 < uneven < 40
    assert ScoreAugment(**QUIET, fading=0.0)(score, boxes, np.random.default_rng(0))[0].max() == 6
