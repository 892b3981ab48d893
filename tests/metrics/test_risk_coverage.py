from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.metrics.risk_coverage import aurc, excess_aurc, risk_coverage


def test_the_most_trusted_are_kept_first():
    coverage, risk = risk_coverage(np.array([0.2, 0.9, 0.5]), np.array([0.6, 0.0, 0.3]))
    assert coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk == pytest.approx([0, 0.15, 0.3])
    assert aurc(np.array([0.2, 0.9, 0.5]), np.array([0.6, 0.0, 0.3])) == pytest.approx(0.15)


def test_images_count_by_their_weight():
    _, risk = risk_coverage(np.array([0.9, 0.2]), np.array([0.1, 0.5]), np.array([3, 1]))
    assert risk == pytest.approx([0.1, (0.3 + 0.5) / 4])


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.7]), st.floats(0, 1)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_equal_confidences_count_as_the_mean_over_their_orders(pairs):
    confidence, risk = np.array(pairs).T
    orders = [
        order
        for order in permutations(range(len(pairs)))
        if all(confidence[a] >= confidence[b] for a, b in pairwise(order))
    ]
    curves = [np.cumsum(risk[list(order)]) / np.arange(1, len(pairs) + 1) for order in orders]
    assert risk_coverage(confidence, risk)[1] == pytest.approx(np.mean(curves, 0), abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_order_beats_that_of_the_true_risk(seed):
    rng = np.random.default_rng(seed)
    confidence, risk = rng.random((2, 20))
    assert excess_aurc(-risk, risk) == pytest.approx(0)
    assert excess_aurc(confidence, risk) >= -1e-12
    assert aurc(np.ones(20), risk) == pytest.approx(risk.mean()), "without an order: the mean risk"
    assert excess_aurc(confidence**3, risk) == pytest.approx(excess_aurc(confidence, risk)), "an order only"


def test_no_image_and_shapes_that_do_not_fit():
    assert np.isnan(aurc(np.zeros(0), np.zeros(0)))
    with pytest.raises(ValueError, match="must all be"):
        risk_coverage(np.zeros(3), np.zeros(2))
