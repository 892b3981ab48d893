import numpy as np
import pytest
import torch
from loss_pixels import of, softmax

from oodseg.training.losses.meta_ood import entropy_maximisation


@torch.no_grad()
def test_against_numpy(pixels):
    inside = [
        -np.log(softmax(of(pixels.logits, *where))[int(pixels.labels[where])]) for where in pixels.at("known")
    ]
    outside = [-np.log(softmax(of(pixels.logits, *where))).mean() for where in pixels.at("outlier")]
    found = entropy_maximisation(pixels.logits, pixels.labels, pixels.outlier, weight=0.7)
    assert float(found["classes"]) == pytest.approx(0.3 * np.mean(inside))
    assert float(found["outliers"]) == pytest.approx(0.7 * np.mean(outside))


def test_outliers_are_drawn_to_the_uniform_distribution(pixels):
    sum(entropy_maximisation(pixels.logits, pixels.labels, pixels.outlier).values()).backward()
    for where in pixels.at("outlier"):
        # A step against the gradient lowers the likeliest class and raises the least likely.
        slope, values = of(pixels.logits.grad, *where), of(pixels.logits, *where)
        assert slope[values.argmax()] > 0 > slope[values.argmin()]
        assert abs(slope.sum()) < 1e-12
    for where in pixels.at("void", "classless"):
        assert not of(pixels.logits.grad, *where).any()
