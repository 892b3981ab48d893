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
from oodseg.nn.uncertainty import energy, entropy, max_logit, msp, softmax_entropy

LN2, LN3 = math.log(2), math.log(3)
SCORES = {each.__name__: each for each in (energy, entropy, max_logit, msp, softmax_entropy)}

logits = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 8), st.integers(1, 4), st.integers(1, 4)),
    elements=st.floats(-30, 30),
)


@pytest.mark.parametrize(("values", "bits"), [
    ([0, 0], 1.0),
    ([5, 5, 5, 5], 2.0),
    ([LN3, 0], 2 - 0.75 * math.log2(3)),  # P = 3/4, 1/4
    ([math.log(0.5), math.log(0.25), math.log(0.125), math.log(0.125)], 1.75),
    ([50, 0, 0], 0.0),
])  # fmt: skip
def test_entropy(values, bits) -> None:
    column = torch.tensor([values], dtype=torch.float64)
    assert entropy(column).item() == pytest.approx(bits, abs=1e-9)
    assert entropy(column, normalized=True).item() == pytest.approx(bits / math.log2(len(values)), abs=1e-9)


@pytest.mark.parametrize(("values", "temperature", "expected"), [
    ([0, 0], 1, -LN2),
    ([1, 1, 1], 1, -1 - LN3),
    ([LN2, 0], 1, -LN3),
    ([100, 0], 1, -100.0),
    ([0, 0], 2, -2 * LN2),
    ([2 * LN2, 0], 2, -2 * LN3),
])  # fmt: skip
def test_energy(values, temperature, expected) -> None:
    assert energy(torch.tensor([values]).double(), temperature).item() == pytest.approx(expected)


@pytest.mark.parametrize(("values", "one_minus_p", "negative"), [
    ([0, 0], 0.5, 0),
    ([LN3, 0], 0.25, -LN3),
    ([-2, -2, -2, -2], 0.75, 2),
    ([3, 1000], 0.0, -1000),
])  # fmt: skip
def test_msp_and_max_logit(values, one_minus_p, negative) -> None:
    column = torch.tensor([values]).double()
    assert msp(column).item() == pytest.approx(one_minus_p)
    assert max_logit(column).item() == pytest.approx(negative)


@given(logits)
@settings(max_examples=60, deadline=None)
def test_against_scipy(values) -> None:
    tensor = torch.from_numpy(values)
    np.testing.assert_allclose(energy(tensor).numpy(), -logsumexp(values, axis=1), atol=1e-9)
    p = np.exp(values - logsumexp(values, axis=1, keepdims=True))
    np.testing.assert_allclose(entropy(tensor).numpy(), scipy_entropy(p, axis=1, base=2), atol=1e-9)
    np.testing.assert_allclose(msp(tensor).numpy(), 1 - p.max(1), atol=1e-12)
    nats = scipy_entropy(p, axis=1) / math.log(values.shape[1])
    np.testing.assert_allclose(softmax_entropy(tensor).numpy(), nats, atol=1e-9)


@given(logits)
@settings(max_examples=60, deadline=None)
def test_bounds(values) -> None:
    tensor, count = torch.from_numpy(values), values.shape[1]
    slack = 1e-9
    assert entropy(tensor).min() >= 0
    assert entropy(tensor).max() <= math.log2(count) + slack
    assert entropy(tensor, normalized=True).max() <= 1 + slack
    assert -slack <= msp(tensor).min()
    assert msp(tensor).max() <= 1 - 1 / count + slack
    # logsumexp lies between the maximum and the maximum + log C.
    assert (energy(tensor) <= max_logit(tensor) + slack).all()
    assert (energy(tensor) >= max_logit(tensor) - math.log(count) - slack).all()


@given(logits, st.floats(-20, 20))
@settings(max_examples=60, deadline=None)
def test_shifting_all_logits(values, shift) -> None:
    """Probabilities do not see a shift; energy and max logit fall by it."""
    before, after = torch.from_numpy(values), torch.from_numpy(values + shift)
    for score in (entropy, msp):
        torch.testing.assert_close(score(after), score(before), atol=1e-9, rtol=0)
    for score in (energy, max_logit):
        torch.testing.assert_close(score(after), score(before) - shift, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_sign_shape_and_order_of_classes(name) -> None:
    confident, unsure = torch.tensor([9.0, 0.0, 0.0]), torch.tensor([0.3, 0.0, 0.1])
    image = torch.stack([confident, unsure], 1)[None, :, None]
    scores = SCORES[name](image)
    assert scores.shape == (1, 1, 2)
    assert scores[0, 0, 0] < scores[0, 0, 1]
    torch.testing.assert_close(SCORES[name](image.flip(1)), scores)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_a_forbidden_class_leaves_the_score_finite(name) -> None:
    column = torch.tensor([[1.0, float("-inf"), 0.0]])
    assert SCORES[name](column).isfinite().all()
    if name == "softmax_entropy":
        return  # it is divided by the number of classes
    # As if the class were not there.
    torch.testing.assert_close(SCORES[name](column), SCORES[name](torch.tensor([[1.0, 0.0]])))


@pytest.mark.parametrize("name", sorted(SCORES))
@pytest.mark.parametrize("shape", [(3,), (2, 1, 4, 4)])
def test_needs_two_classes(name, shape) -> None:
    with pytest.raises(ConfigError, match="at least two classes"):
        SCORES[name](torch.zeros(shape))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), "2"])
def test_temperature_must_be_positive(temperature) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        energy(torch.zeros(1, 2), temperature)


@given(logits, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_classes_is_of_no_account(values, random) -> None:
    order = list(range(values.shape[1]))
    random.shuffle(order)
    tensor = torch.from_numpy(values)
    for score in SCORES.values():
        torch.testing.assert_close(score(tensor[:, order]), score(tensor), atol=1e-9, rtol=1e-9)


@given(hnp.arrays(np.float32, (1, 4, 3, 3), elements=st.sampled_from([-1e4, -1.0, 0.0, 3.0, 1e4])))
@settings(max_examples=40, deadline=None)
def test_extreme_logits_give_finite_scores(values) -> None:
    tensor = torch.from_numpy(values)
    for name, score in SCORES.items():
        assert score(tensor).isfinite().all(), name


@given(st.floats(0, 20), st.floats(0.01, 20), st.integers(2, 6))
def test_the_surer_the_lower(gap, more, classes) -> None:
    """Raising the winning logit alone never raises a score."""
    columns = torch.zeros(2, classes, dtype=torch.float64)
    columns[:, 0] = torch.tensor([gap, gap + more])
    for name, score in SCORES.items():
        unsure, sure = score(columns)
        assert sure <= unsure + 1e-12, name
