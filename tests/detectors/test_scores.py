import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy

from oodseg.core.errors import ConfigError
from oodseg.detectors.scores import kl_to_templates

LN3 = math.log(3)

logits = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 8), st.integers(1, 4), st.integers(1, 4)),
    elements=st.floats(-30, 30),
)


@pytest.mark.parametrize(("values", "templates", "expected"), [
    ([0, 0], [[0.5, 0.5]], 0.0),
    ([0, 0], [[0.25, 0.75]], 0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
    ([LN3, 0], [[0.5, 0.5]], 0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
    ([LN3, 0], [[0.5, 0.5], [0.75, 0.25]], 0.0),  # the nearest of two
])  # fmt: skip
def test_kl_to_templates(values, templates, expected) -> None:
    column, rows = (torch.tensor(each, dtype=torch.float64) for each in ([values], templates))
    score = kl_to_templates(column, rows)
    assert score.item() == pytest.approx(expected, abs=1e-12)


@given(logits, st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_kl_against_scipy(values, count, seed) -> None:
    templates = np.random.default_rng(seed).dirichlet(np.ones(values.shape[1]), count).clip(1e-6)
    templates /= templates.sum(1, keepdims=True)
    p = np.exp(values - logsumexp(values, axis=1, keepdims=True))
    shape = (1, -1, *[1] * (values.ndim - 2))
    expected = np.min([scipy_entropy(p, each.reshape(shape), axis=1) for each in templates], axis=0)
    score = kl_to_templates(torch.from_numpy(values), torch.from_numpy(templates))
    np.testing.assert_allclose(score.numpy(), expected, atol=1e-9)
    assert (score >= 0).all()


def test_kl_needs_templates_of_the_same_classes() -> None:
    with pytest.raises(ConfigError, match="logits of 3 classes"):
        kl_to_templates(torch.zeros(1, 3, 2, 2), torch.full((2, 4), 0.25))


@given(logits, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_classes_is_of_no_account_to_templates(values, random) -> None:
    order = list(range(values.shape[1]))
    random.shuffle(order)
    tensor = torch.from_numpy(values)
    templates = torch.linspace(0.1, 1, values.shape[1]).double()[None]
    before, after = kl_to_templates(tensor, templates), kl_to_templates(tensor[:, order], templates[:, order])
    torch.testing.assert_close(after, before, atol=1e-9, rtol=1e-9)


@given(hnp.arrays(np.float32, (1, 4, 3, 3), elements=st.sampled_from([-1e4, -1.0, 0.0, 3.0, 1e4])))
@settings(max_examples=40, deadline=None)
def test_extreme_logits_give_a_finite_divergence(values) -> None:
    assert kl_to_templates(torch.from_numpy(values), torch.eye(4)).isfinite().all()
