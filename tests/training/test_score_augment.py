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
    new_score, new_boxes, seen = ScoreAugment(**QUIET)(score, boxes, rng)
    assert seen == []
    np.testing.assert_array_equal(new_score, score)
    np.testing.assert_array_equal(new_boxes, boxes)
    assert new_score.dtype == new_boxes.dtype == np.float32


def test_box_follows_the_mirror(rng) -> None:
    score, boxes, _ = ScoreAugment(flip=1.0, fluctuation=0.0)(*scene(), rng)
    assert boxes.tolist() == [[30, 10, 60, 30]]
    assert score[10:30, 30:60].min() == 5.0
    assert score.sum() == 20 * 30 * 5


@given(st.floats(0.5, 2.0), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_box_stays_around_the_object_at_any_scale(factor, seed) -> None:
    score, boxes = scene()
    new_score, new_boxes, _ = ScoreAugment(**QUIET, scale=(factor, factor))(
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
    _, boxes, _ = ScoreAugment(**QUIET, scale=(0.5, 0.5))(
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
    first, *_ = augment(score, np.zeros((0, 4)), rng)
    second, *_ = augment(score, np.zeros((0, 4)), rng)
    ratio = first / score
    assert 0.99 <= ratio.min() < 0.991 < 1.009 < ratio.max() <= 1.01
    assert not np.array_equal(first, second)


def test_gain_and_bias_are_affine_and_clamped(rng) -> None:
    score = np.linspace(-4, 16, 100, dtype=np.float32).reshape(10, 10)
    new, *_ = ScoreAugment(**QUIET, gain=(1.4, 1.4), bias=0.3)(score, np.zeros((0, 4)), rng)
    inside = (new > -4) & (new < 16)
    shift = new[inside] - 1.4 * score[inside]
    assert np.ptp(shift) < 1e-4
    assert abs(shift[0]) <= 0.3
    assert (new.min(), new.max()) == (-4, 16)


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError):
        ScoreAugment.model_validate({"shear": 1})


def test_unevenness_is_smooth_and_no_stronger_than_asked(rng) -> None:
    flat = np.zeros((90, 120), np.float32)
    spread = []
    for _ in range(30):
        score, *_ = ScoreAugment(**QUIET, unevenness=0.5)(flat, np.zeros((0, 4), np.float32), rng)
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
        faded, kept, _ = ScoreAugment(**QUIET, fading=1.0)(score, boxes, np.random.default_rng(seed))
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


HEIGHT, WIDTH = 100, 150
CANVAS = (128, 192)


def where(height: int, width: int, stride: int) -> np.ndarray:
    """Features that say where in the map they are: `[x, y]` of the middle of every cell."""
    rows, columns = ((np.arange(side // stride) + 0.5) * stride for side in (height, width))
    return np.stack(np.meshgrid(columns, rows)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.6, 0.75, 1.0, 1.3, 1.5])
@pytest.mark.parametrize("mirrored", [False, True])
def test_features_follow_the_map(factor, mirrored) -> None:
    augment = ScoreAugment(flip=float(mirrored), fluctuation=0.0, scale=(factor, factor))
    nothing = np.zeros((0, 4), np.float32)
    features = [where(*CANVAS, stride).astype(np.float16) for stride in (8, 16)]
    # Maps that hold the coordinates of their pixels, within the range of scores.
    x = np.broadcast_to((np.arange(WIDTH) + 0.5) / WIDTH, (HEIGHT, WIDTH)) * 16
    y = np.broadcast_to(((np.arange(HEIGHT) + 0.5) / HEIGHT)[:, None], (HEIGHT, WIDTH)) * 16
    found = [augment(each, nothing, np.random.default_rng(4), features) for each in (x, y)]
    (new_x, _, seen), (new_y, _, again) = found
    new_x, new_y = new_x / 16 * WIDTH, new_y / 16 * HEIGHT
    height, width = new_x.shape
    canvas = [-(-side // 64) * 64 for side in (height, width)]
    for stride, each, twin in zip((8, 16), seen, again, strict=True):
        assert each.shape == (2, canvas[0] // stride, canvas[1] // stride)
        assert each.dtype == np.float32
        np.testing.assert_array_equal(each, twin)
        # In a cell's middle four pixels meet; cells at the border see what lies beyond it.
        for row in range(1, height // stride - 1):
            for column in range(1, width // stride - 1):
                middle = int((row + 0.5) * stride), int((column + 0.5) * stride)
                pixels = np.s_[middle[0] - 1 : middle[0] + 1, middle[1] - 1 : middle[1] + 1]
                expected = new_x[pixels].mean(), new_y[pixels].mean()
                beyond = (CANVAS[1] - expected[0], CANVAS[0] - expected[1])
                inside = min(*expected, *beyond) >= stride / 2
                if inside:
                    assert each[:, row, column] == pytest.approx(expected, abs=0.6)


def test_features_stay_what_they_are_where_nothing_is_asked(rng) -> None:
    features = [rng.standard_normal((3, 16, 24)).astype(np.float16), rng.standard_normal((5, 8, 12))]
    score = np.zeros((HEIGHT, WIDTH), np.float16)
    seen = ScoreAugment(**QUIET)(score, np.zeros((0, 4), np.float32), rng, features)[2]
    for each, before in zip(seen, features, strict=True):
        assert each.dtype == np.float32
        np.testing.assert_allclose(each, before.astype(np.float32), atol=1e-5)


def test_a_mirrored_map_of_the_canvas_mirrors_the_features(rng) -> None:
    """Where the map fills its canvas, mirroring moves whole cells."""
    features = [rng.standard_normal((3, 16, 24)).astype(np.float32)]
    score = np.zeros(CANVAS, np.float32)
    seen = ScoreAugment(flip=1.0, fluctuation=0.0)(score, np.zeros((0, 4), np.float32), rng, features)[2]
    np.testing.assert_allclose(seen[0], features[0][..., ::-1], atol=1e-5)


def test_what_features_come_along_changes_nothing_of_the_map() -> None:
    augment = ScoreAugment(scale=(0.6, 1.5), gain=(0.7, 1.4), bias=0.3, unevenness=0.6, fading=0.3)
    score, boxes = scene(HEIGHT, WIDTH)
    features = [where(*CANVAS, stride) for stride in (8, 16)]
    for seed in range(5):
        plain = augment(score, boxes, np.random.default_rng(seed))
        joined = augment(score, boxes, np.random.default_rng(seed), features)
        np.testing.assert_array_equal(plain[0], joined[0])
        np.testing.assert_array_equal(plain[1], joined[1])
        assert len(joined[2]) == 2
