import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oodseg.metrics.agreement import calibration_error, correlation, rank_correlation, reliability


@pytest.mark.parametrize(
    ("estimated", "true", "expected"),
    [
        ([0.5, 0.5, 0.5], [0.1, 0.2, 0.3], 0.0),
        ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5], np.nan),
        ([0.1], [0.3], np.nan),
        ([0.0, 1.0], [0.2, 0.3], 1.0),
        ([1.0, 0.0], [0.2, 0.3], -1.0),
    ],
)
def test_correlation_where_it_is_degenerate(estimated, true, expected):
    for measure in (correlation, rank_correlation):
        found = measure(np.array(estimated), np.array(true))
        assert found == pytest.approx(expected, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (2, 12), elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0])))
def test_correlations_are_the_textbook_s(pair):
    estimated, true = pair
    assume(np.ptp(estimated) > 0)
    assume(np.ptp(true) > 0)
    one, other = estimated - estimated.mean(), true - true.mean()
    expected = (one @ other) / np.sqrt((one @ one) * (other @ other))
    assert correlation(estimated, true) == pytest.approx(expected, abs=1e-12)
    # A value's rank: how many are smaller, and half of those that are equal.
    ranks = [((each[:, None] > each).sum(1) + (each[:, None] == each).sum(1) / 2) for each in pair]
    assert rank_correlation(estimated, true) == pytest.approx(correlation(*ranks), abs=1e-12)


def test_groups_of_like_estimates():
    estimated = np.repeat([0.9, 0.1, 0.5], [10, 10, 10])
    true = np.repeat([0.7, 0.1, 0.6], [10, 10, 10])
    guessed, known, shares = reliability(estimated, true)
    assert guessed == pytest.approx([0.1, 0.5, 0.9])
    assert known == pytest.approx([0.1, 0.6, 0.7])
    assert shares == pytest.approx([1 / 3] * 3)
    assert calibration_error(estimated, true) == pytest.approx((0 + 0.1 + 0.2) / 3)


def test_few_images_are_one_group_and_none_has_no_error():
    assert calibration_error(np.array([0.2, 0.8]), np.array([0.8, 0.2])) == pytest.approx(0)
    assert np.isnan(calibration_error(np.zeros(0), np.zeros(0)))


@given(st.integers(0, 10_000), st.integers(1, 150))
@settings(max_examples=30, deadline=None)
def test_the_calibration_error_lies_between_the_error_of_the_mean_and_the_mean_error(seed, count):
    rng = np.random.default_rng(seed)
    estimated, true = np.round(rng.random((2, count)), 1)
    found = calibration_error(estimated, true)
    assert abs(estimated.mean() - true.mean()) - 1e-12 <= found <= np.abs(estimated - true).mean() + 1e-12
    order = rng.permutation(count)
    assert calibration_error(estimated[order], true[order]) == pytest.approx(found)
