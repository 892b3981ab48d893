import numpy as np
import pytest
import torch
from loss_pixels import of, softmax

from oodseg.training.losses.densehybrid import densehybrid


@pytest.fixture
def posterior(rng):
    return torch.from_numpy(rng.normal(0, 2, (2, 2, 4, 5))).requires_grad_()


@torch.no_grad()
def test_against_numpy(pixels, posterior):
    classes = [-np.log(softmax(of(pixels.logits, *w))[int(pixels.labels[w])]) for w in pixels.at("known")]
    likely = [np.log(np.exp(of(pixels.logits, *w)).sum()) for w in pixels.at("outlier")]
    told = [
        -np.log(softmax(of(posterior, *w))[int(pixels.kinds[w] == "outlier")])
        for w in pixels.at("known", "classless", "outlier")
    ]
    found = densehybrid(pixels.logits, posterior, pixels.labels, pixels.inlier, pixels.outlier, weight=0.1)
    assert float(found["classes"]) == pytest.approx(np.mean(classes))
    assert float(found["likelihood"]) == pytest.approx(0.1 * np.mean(likely))
    assert float(found["posterior"]) == pytest.approx(np.mean(told))


def test_outliers_become_unlikely_and_known_as_such(pixels, posterior):
    sum(
        densehybrid(pixels.logits, posterior, pixels.labels, pixels.inlier, pixels.outlier).values()
    ).backward()
    for where in pixels.at("outlier"):
        assert (of(pixels.logits.grad, *where) > 0).all()
        assert of(posterior.grad, *where)[0] > 0 > of(posterior.grad, *where)[1]
    for where in pixels.at("known", "classless"):
        assert of(posterior.grad, *where)[1] > 0 > of(posterior.grad, *where)[0]
    for where in pixels.at("void"):
        assert not of(posterior.grad, *where).any()
        assert not of(pixels.logits.grad, *where).any()
