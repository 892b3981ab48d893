import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.metrics.conformal import conformal_quantile, controlled, coverage, images_needed, outside


@pytest.mark.parametrize(
    ("count", "level", "expected"),
    [
        (9, 0.9, 9),
        (10, 0.9, 10),
        (19, 0.9, 18),
        (99, 0.9, 90),
        (8, 0.9, math.inf),
        (1, 0.5, 1),
        (0, 0.5, math.inf),
    ],
)
def test_the_kth_smallest_of_n(count, level, expected):
    assert conformal_quantile(np.arange(count, 0, -1), level) == expected


@given(st.floats(0.01, 0.99))
@settings(max_examples=50, deadline=None)
def test_as_many_images_as_are_needed_for_a_bound(level):
    enough = images_needed(level)
    assert conformal_quantile(np.zeros(enough), level) == 0
    assert enough == 0 or math.isinf(conformal_quantile(np.zeros(enough - 1), level))


@pytest.mark.parametrize(("count", "level"), [(20, 0.9), (49, 0.8), (100, 0.95)])
def test_a_new_score_stays_within_the_bound_as_often_as_promised(count, level):
    """Simulated, skewed scores: the share is ceil((N + 1) level) / (N + 1) exactly."""
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=(4000, count + 1)) ** 2
    held = [draw[-1] <= conformal_quantile(draw[:-1], level) for draw in draws]
    expected = math.ceil((count + 1) * level) / (count + 1)
    assert np.mean(held) == pytest.approx(expected, abs=4 * math.sqrt(level * (1 - level) / 4000))


def test_intervals_of_a_bad_model_hold_and_are_wide_where_it_says_so():
    rng = np.random.default_rng(1)
    held, widths = [], []
    for _ in range(600):
        spread = rng.uniform(0.1, 1, 61)
        true = 3 + spread * rng.normal(size=61)
        low, high = -spread, spread  # off by 3
        bound = conformal_quantile(outside(low[:-1], high[:-1], true[:-1]), 0.9)
        held.append(coverage(low[-1:] - bound, high[-1:] + bound, true[-1:]))
        widths.append((spread[-1], high[-1] - low[-1] + 2 * bound))
    assert np.mean(held) == pytest.approx(56 / 61, abs=0.045)
    assert np.corrcoef(np.array(widths).T)[0, 1] > 0.5


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_widened_by_the_largest_score_all_intervals_hold(seed):
    rng = np.random.default_rng(seed)
    low, high, true = rng.normal(size=(3, 15))
    worst = outside(low, high, true).max()
    assert coverage(low - worst - 1e-9, high + worst + 1e-9, true) == 1
    assert coverage(low - worst + 1e-9, high + worst - 1e-9, true) < 1


def test_truths_inside_score_below_nought():
    found = outside(np.array([0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]), np.array([0.2, 1.5, -1.0]))
    assert found == pytest.approx([-0.2, 0.5, 1.0])
    assert coverage(np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([1.0, 1.5])) == 0.5
    assert math.isnan(coverage(np.zeros(0), np.zeros(0), np.zeros(0)))


def test_the_first_threshold_that_keeps_the_risk():
    losses = np.array([[1, 0.5, 0.0, 0.0]] * 9)
    assert controlled(losses, 0.55) == 1, "(9 * 0.5 + 1) / 10 is just allowed"
    assert controlled(losses, 0.54) == 2
    assert controlled(losses, 0.1) == 2
    assert controlled(losses, 0.09) is None, "the new image alone may lose 1 / 10"
    assert controlled(np.zeros((0, 3)), 0.5) is None


@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_a_stricter_target_never_takes_an_earlier_threshold(seed, target):
    rng = np.random.default_rng(seed)
    losses = np.sort(rng.random((20, 12)), axis=1)[:, ::-1]
    strict, loose = controlled(losses, target / 2), controlled(losses, target)
    assert strict is None or (loose is not None and loose <= strict)
    if loose is not None:
        assert losses[:, loose].mean() <= target


@pytest.mark.parametrize(("count", "target", "bound"), [(30, 0.1, 1.0), (100, 0.25, 1.0), (60, 0.5, 4.0)])
def test_the_mean_loss_of_new_images_stays_below_the_target(count, target, bound):
    """Simulated: an image's loss falls in steps, at places and from heights of its own."""
    rng = np.random.default_rng(2)
    thresholds, found = np.linspace(0, 1.5, 151), []
    for _ in range(1500):
        height = bound * rng.beta(2, 1, count + 1)[:, None]
        at = rng.beta(1, 3, count + 1)[:, None]
        losses = height * (thresholds < at) + height / 2 * ((thresholds >= at) & (thresholds < 1.5 * at))
        chosen = controlled(losses[:-1], target, bound)
        assert chosen is not None
        found.append(losses[-1, chosen])
    error = np.std(found) / math.sqrt(len(found))
    assert np.mean(found) <= target + 3 * error
    assert np.mean(found) >= target - 2 * bound / (count + 1) - 0.02 * bound - 3 * error, "and is not idle"


@pytest.mark.parametrize(
    ("losses", "message"),
    [([[0.1, 0.2]], "never rise"), ([[1.5, 0.2]], "must lie in"), ([[0.1, -0.2]], "must lie in")],
)
def test_losses_that_make_no_sense(losses, message):
    with pytest.raises(ValueError, match=message):
        controlled(np.array(losses), 0.5)


def test_levels_and_scores_that_make_no_sense():
    for level in (0, 1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            conformal_quantile(np.zeros(3), level)
        with pytest.raises(ValueError, match="between 0 and 1"):
            images_needed(level)
    with pytest.raises(ValueError, match="must be a number"):
        conformal_quantile(np.array([0.1, np.nan]), 0.5)
