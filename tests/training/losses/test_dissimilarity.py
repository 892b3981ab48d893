import numpy as np
import pytest
import torch
from loss_pixels import of, softmax

from oodseg.training.losses.dissimilarity import WEIGHTS, dissimilarity


@pytest.fixture
def logits(rng):
    return torch.from_numpy(rng.normal(0, 2, (2, 2, 4, 5))).requires_grad_()


@torch.no_grad()
def test_against_numpy(pixels, logits):
    losses, weights = [], []
    for where in pixels.at("known", "classless", "outlier"):
        kind = int(pixels.kinds[where] == "outlier")
        losses.append(-np.log(softmax(of(logits, *where))[kind]))
        weights.append(WEIGHTS[kind])
    found = dissimilarity(logits, pixels.inlier, pixels.outlier)["pixels"]
    assert float(found) == pytest.approx(np.average(losses, weights=weights))


@torch.no_grad()
def test_as_torch_weights_its_classes(pixels, logits):
    target = torch.where(pixels.outlier, 1, torch.where(pixels.inlier, 0, 255))
    loss = torch.nn.CrossEntropyLoss(torch.tensor(WEIGHTS, dtype=torch.double), ignore_index=255)
    found = dissimilarity(logits, pixels.inlier, pixels.outlier)["pixels"]
    assert float(found) == pytest.approx(float(loss(logits, target)))


def test_outliers_are_pushed_apart(pixels, logits):
    dissimilarity(logits, pixels.inlier, pixels.outlier)["pixels"].backward()
    for where in pixels.at("outlier"):
        assert of(logits.grad, *where)[1] < 0
    for where in pixels.at("void"):
        assert not of(logits.grad, *where).any()


@torch.no_grad()
def test_nothing_to_judge(logits):
    nothing = torch.zeros(2, 4, 5, dtype=torch.bool)
    assert float(dissimilarity(logits, nothing, nothing)["pixels"]) == 0
