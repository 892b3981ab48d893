import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodseg.metrics.bootstrap import interval, measurable, resample_weights


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 99))
def test_every_resampled_set_has_the_size_of_the_set(images, resamples, seed):
    weights = resample_weights(images, resamples, seed)
    assert weights.shape == (resamples, images)
    assert (weights.sum(1) == images).all()
    np.testing.assert_array_equal(weights, resample_weights(images, resamples, seed))


def test_another_seed_draws_other_sets():
    assert (resample_weights(10, 5, 0) != resample_weights(10, 5, 1)).any()


def test_no_image_cannot_be_resampled():
    with pytest.raises(ValueError, match="empty"):
        resample_weights(0)


def test_interval_of_a_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    weights = resample_weights(40, 500) / 40
    hits = 0
    for _ in range(300):
        low, high = interval(weights @ rng.normal(0.3, 1.0, 40))
        hits += low <= 0.3 <= high
    assert 0.89 < hits / 300 < 0.98


def test_undefined_resamples_are_left_out():
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert all(np.isnan(interval(np.array([np.nan]))))


def test_a_resample_needs_an_anomaly_and_something_else():
    weights = np.array([[1.0, 1, 0], [0, 2, 0], [0, 0, 2], [2, 0, 0]])
    drawn = measurable(weights, np.array([5.0, 0, 7]), np.array([3.0, 9, 0]))
    assert drawn.tolist() == [True, False, False, True]
