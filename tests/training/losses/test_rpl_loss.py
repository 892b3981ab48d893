import numpy as np
import pytest
import torch
from loss_pixels import of, softmax

from oodseg.training.losses.rpl import clamped_entropy, rpl


def entropy(values):
    p = np.maximum(softmax(values), 1e-7)
    return -(p * np.log(p)).sum()


@torch.no_grad()
def test_against_numpy(pixels, rng):
    frozen = torch.from_numpy(rng.normal(0, 3, (2, 3, 4, 5)))
    inside = pixels.at("known", "classless")
    classes = [-np.log(softmax(of(pixels.logits, *w))[of(frozen, *w).argmax()]) for w in inside]
    moved = [(entropy(of(pixels.logits, *w)) - entropy(of(frozen, *w))) ** 2 for w in inside]
    lost = [max(0, np.log(np.exp(of(pixels.logits, *w)).sum())) for w in pixels.at("outlier")]
    found = rpl(pixels.logits, frozen, pixels.inlier, pixels.outlier, outlier_weight=0.2)
    assert float(found["classes"]) == pytest.approx(np.mean(classes))
    assert float(found["entropy"]) == pytest.approx(np.mean(moved))
    assert float(found["outliers"]) == pytest.approx(0.2 * np.mean(lost))


def test_outliers_lose_energy_down_to_zero(pixels):
    with torch.no_grad():
        pixels.logits += 2
    rpl(pixels.logits, pixels.logits, pixels.inlier, pixels.outlier)["outliers"].backward()
    for where in pixels.at("outlier"):
        positive = np.log(np.exp(of(pixels.logits, *where)).sum()) > 0
        assert (of(pixels.logits.grad, *where) > 0).all() == positive


def test_the_frozen_network_gets_no_gradient(pixels):
    frozen = torch.zeros(2, 3, 4, 5, dtype=torch.double, requires_grad=True)
    sum(rpl(pixels.logits, frozen, pixels.inlier, pixels.outlier).values()).backward()
    assert frozen.grad is None
    assert pixels.logits.grad.any()


@torch.no_grad()
def test_nothing_to_learn_where_nothing_changed_but_the_classes_margin(pixels):
    found = rpl(pixels.logits, pixels.logits, pixels.inlier, pixels.outlier)
    assert float(found["entropy"]) == 0


@torch.no_grad()
def test_certainty_has_a_finite_entropy():
    sure = torch.tensor([[[1000.0]], [[0.0]]])[None]
    assert float(clamped_entropy(sure)) == pytest.approx(1e-7 * 16.118, rel=1e-2)
