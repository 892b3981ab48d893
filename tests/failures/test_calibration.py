import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

from oodseg.failures.calibration import Calibration, fit_classes, fit_pixels, fit_presence


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (0.01, 5), (30, -200)])
def test_pixel_fit_agrees_with_scikit_learn(rng, scale, shift) -> None:
    odds = rng.normal(-1, 2, 4000)
    wrong = rng.random(4000) < 1 / (1 + np.exp(-(1.5 * odds - 0.5)))
    scores = odds * scale + shift
    slope, offset = fit_pixels(scores, wrong)
    reference = LogisticRegression(C=1e6).fit(odds[:, None], wrong)
    wanted = reference.predict_proba(odds[:, None])[:, 1]
    np.testing.assert_allclose(Calibration(slope, offset).error(scores), wanted, atol=2e-3)


@pytest.mark.parametrize("wrong", [np.zeros(50, bool), np.ones(50, bool), np.arange(50) < 25])
def test_pixel_fit_keeps_the_order_whatever_comes(wrong) -> None:
    slope, offset = fit_pixels(np.arange(50.0), wrong)
    assert slope > 0
    assert np.isfinite([slope, offset]).all()


def test_scores_that_never_vary_can_be_fitted() -> None:
    slope, offset = fit_pixels(np.full(20, 3.0), np.arange(20) < 5)
    assert Calibration(slope, offset).error(np.array([3.0]))[0] == pytest.approx(0.25, abs=0.01)


def test_class_fit_is_a_line_a_class(rng) -> None:
    measured = rng.random((40, 3))
    true = np.clip(0.5 * measured + np.array([0.1, 0.2, 0.3]) + rng.normal(0, 0.02, (40, 3)), 0, 1)
    measured[30:, 1] = np.nan
    true[35:, 1] = np.nan
    lines = fit_classes(measured, true)
    for index, (slope, offset) in enumerate(lines):
        rows = ~np.isnan(measured[:, index]) & ~np.isnan(true[:, index])
        reference = LinearRegression().fit(measured[rows, index, None], true[rows, index])
        assert slope == pytest.approx(reference.coef_[0], abs=1e-3)
        assert offset == pytest.approx(reference.intercept_, abs=1e-3)


def test_rare_classes_take_the_common_line(rng) -> None:
    measured = np.concatenate([rng.random((30, 1)), np.full((30, 1), np.nan)], 1)
    true = np.clip(0.4 + 0.3 * measured, 0, 1)
    measured[0, 1], true[0, 1] = 0.5, 0.0
    lines = fit_classes(measured, true)
    assert lines[1][0] > 0
    assert lines[1] != lines[0]
    assert fit_classes(np.full((3, 2), np.nan), true[:3]) == []


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 20), st.floats(-20, 20), st.lists(st.floats(-50, 50), min_size=2, max_size=20))
def test_error_is_a_probability_that_keeps_the_order(slope, offset, scores) -> None:
    found = Calibration(slope, offset).error(np.sort(np.array(scores)))
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert (np.diff(found) >= 0).all()


def test_quality_stays_in_range_and_leaves_nan() -> None:
    found = Calibration(class_lines=[(2.0, 0.0), (1.0, -0.5), (1.0, 0.0)]).quality(
        np.array([0.9, 0.2, np.nan])
    )
    np.testing.assert_array_equal(found, np.array([1, 0, np.nan], np.float32))
    np.testing.assert_array_equal(
        Calibration().quality(np.array([0.25, 1.5])), np.array([0.25, 1], np.float32)
    )


def test_a_image_without_fit_counts_the_predicted_classes() -> None:
    assert Calibration().mean_quality(np.array([0.2, np.nan, 0.6])) == pytest.approx(0.4)
    assert np.isnan(Calibration().mean_quality(np.array([np.nan, np.nan])))


def test_a_class_that_is_never_found_though_always_there_counts_as_missed() -> None:
    predicted = np.array([[True, False], [True, False], [True, False]])
    present = np.array([[True, True], [True, True], [False, True]])
    presence = fit_presence(predicted, present)
    assert presence == [pytest.approx((0.0, 0.75)), pytest.approx((0.75, 1.0))]
    found = Calibration(presence=presence).mean_quality(np.array([0.8, np.nan]))
    assert found == pytest.approx((0.75 * 0.8 + 0.75 * 0.0) / 1.5)


def test_a_class_that_was_never_seen_counts_as_before() -> None:
    nothing = np.zeros((0, 3), bool)
    assert fit_presence(nothing, nothing) == [(0.0, 1.0)] * 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_a_images_mean_lies_within_its_classes(rows) -> None:
    quality = np.array([value if predicted else np.nan for value, predicted, *_ in rows])
    found = Calibration(presence=[(low, high) for *_, low, high in rows]).mean_quality(quality)
    assert np.isnan(found) or 0 <= found <= np.nanmax(np.append(quality, 0.0)) + 1e-9


def by_newton(scores, wrong):
    """The same objective, minimised step by step in plain numpy."""
    centre, spread = scores.mean(), scores.std() or 1.0
    rows, line = np.stack([(scores - centre) / spread, np.ones_like(scores)]), np.zeros(2)
    for _ in range(60):
        chance = 1 / (1 + np.exp(-np.clip(line @ rows, -60, 60)))
        gradient = rows @ (chance - wrong) + 1e-3 * line
        curve = (rows * (chance * (1 - chance))) @ rows.T + 1e-3 * np.eye(2)
        line = line - np.clip(np.linalg.solve(curve, gradient), -2, 2)
    factor = max(line[0], 1e-3) / spread
    return factor, line[1] - factor * centre


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(2, 400), st.sampled_from([0.01, 1.0, 40.0]), st.floats(0, 1))
def test_pixel_fit_agrees_with_newton_s_method(seed, count, scale, share) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(3, scale, count)
    wrong = rng.random(count) < share
    np.testing.assert_allclose(fit_pixels(scores, wrong), by_newton(scores, wrong), rtol=1e-5, atol=1e-6)
