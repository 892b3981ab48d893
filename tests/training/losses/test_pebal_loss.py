import numpy as np
import pytest
import torch
from loss_pixels import of, softmax
from scipy.ndimage import gaussian_filter

from oodseg.training.losses.pebal import gambler, pebal, smoothness, sparsity


@pytest.fixture
def logits(rng):
    """With abstention; classes far from zero, so that the penalty is large."""
    return torch.from_numpy(rng.normal(1, 2, (2, 4, 4, 5))).requires_grad_()


def energies(logits):
    return -np.log(np.exp(logits.detach().numpy()[:, :-1]).sum(1))


def penalties(logits, scale):
    squared = (scale * energies(logits)) ** 2
    blurred = np.stack([gaussian_filter(each, 1.0, radius=3, mode="mirror") for each in squared])
    return np.maximum(1, blurred)


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_the_gambler_against_numpy(pixels, logits, scale):
    penalty = penalties(logits, scale)
    inside, outside = [], []
    for where in pixels.at("known", "outlier"):
        p = softmax(of(logits, *where))
        hedged = np.log(p[:-1] + p[-1] / penalty[where])
        if pixels.kinds[where] == "known":
            inside.append(-hedged[int(pixels.labels[where])])
        else:
            outside.append(-hedged.mean())
    found = gambler(logits, pixels.labels, pixels.outlier, outlier_weight=0.3, scale=scale)
    assert float(found["classes"]) == pytest.approx(np.mean(inside))
    assert float(found["abstention"]) == pytest.approx(0.3 * np.mean(outside))


@torch.no_grad()
def test_the_rest_against_numpy(pixels, logits):
    e = energies(logits)
    inlier, outlier = pixels.inlier.numpy(), pixels.outlier.numpy()
    found = pebal(logits, pixels.labels, pixels.inlier, pixels.outlier, (-4, -1), energy_weight=0.5)
    assert float(found["inliers"]) == pytest.approx(0.25 * np.mean(np.maximum(0, e[inlier] + 4) ** 2))
    assert float(found["outliers"]) == pytest.approx(0.25 * np.mean(np.maximum(0, -1 - e[outlier]) ** 2))
    rough = sum(
        (e[b, y, x] - e[b, y + dy, x + dx]) ** 2
        for b in range(2)
        for y in range(4)
        for x in range(5)
        for dy, dx in ((1, 0), (0, 1))
        if y + dy < 4 and x + dx < 5
    )
    assert float(found["smoothness"]) == pytest.approx(0.5 * 3e-6 * rough / 2)
    assert float(found["sparsity"]) == pytest.approx(0.5 * 5e-4 * np.sqrt((e[outlier] ** 2).sum()))


def test_without_outliers_the_hinge_of_inliers_counts_whole(pixels, logits):
    nothing = torch.zeros_like(pixels.outlier)
    found = pebal(logits, pixels.labels, pixels.inlier, nothing, (-4, -1), energy_weight=1.0)
    inliers = np.maximum(0, energies(logits)[pixels.inlier.numpy()] + 4) ** 2
    assert float(found["inliers"]) == pytest.approx(inliers.mean())
    assert float(found["outliers"]) == float(found["sparsity"]) == float(found["abstention"]) == 0
    sum(found.values()).backward()
    assert torch.isfinite(logits.grad).all()


def test_outliers_learn_to_abstain_where_it_costs_little(pixels, logits):
    """The term that has no gradient in the release; at a penalty of 1 its sign is certain."""
    with torch.no_grad():
        logits[:, :-1] -= torch.logsumexp(logits[:, :-1], 1, keepdim=True) - 0.9
    gambler(logits, pixels.labels, pixels.outlier)["abstention"].backward()
    for where in pixels.at("outlier"):
        assert of(logits.grad, *where)[-1] < 0


@pytest.mark.parametrize(("energy", "abstains"), [(-1.5, True), (-2.5, False)])
def test_outliers_abstain_where_the_penalty_is_below_the_number_of_classes(pixels, energy, abstains):
    """At equally likely classes; penalties are 2.25 and 6.25, of three classes."""
    logits = torch.full((2, 4, 4, 5), -energy - np.log(3), dtype=torch.double)
    logits[:, -1] = -2.0
    logits.requires_grad_()
    gambler(logits, pixels.labels, pixels.outlier)["abstention"].backward()
    for where in pixels.at("outlier"):
        assert (of(logits.grad, *where)[-1] < 0) == abstains


def test_abstaining_never_pays_more_than_being_right(pixels):
    """Small energies, as of a network of few classes: the loss is no well to fall into."""
    small = (torch.randn(2, 4, 4, 5, dtype=torch.double) / 10 - 1.0).requires_grad_()
    with torch.no_grad():
        found = gambler(small, pixels.labels, pixels.outlier)
    assert float(found["classes"]) > 0
    assert float(found["abstention"]) > 0


@torch.no_grad()
@pytest.mark.parametrize("inside", [-12.0, -4.0])
def test_the_penalty_is_that_of_the_papers_energies(pixels, logits, inside):
    found = pebal(logits, pixels.labels, pixels.inlier, pixels.outlier, (inside, inside / 2))
    expected = gambler(logits, pixels.labels, pixels.outlier, scale=-12 / inside)
    assert float(found["classes"]) == pytest.approx(float(expected["classes"]))


@torch.no_grad()
def test_roughness_and_length_by_hand():
    assert float(smoothness(torch.tensor([[[0.0, 1.0], [3.0, 1.0]]]))) == (9 + 0 + 1 + 4) / 2
    outlier = torch.tensor([[[True, False, True]]])
    assert float(sparsity(torch.tensor([[[3.0, 7.0, -4.0]]]), outlier)) == 5
