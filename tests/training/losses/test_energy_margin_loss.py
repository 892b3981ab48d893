import numpy as np
import pytest
import torch
from loss_pixels import of, softmax

from oodseg.training.losses.energy_margin import energy_margin, hinges, measured_margins


def energy(values):
    return -np.log(np.exp(values).sum())


@torch.no_grad()
def test_against_numpy(pixels):
    inside = [max(0, energy(of(pixels.logits, *w)) + 6) ** 2 for w in pixels.at("known", "classless")]
    outside = [max(0, -1 - energy(of(pixels.logits, *w))) ** 2 for w in pixels.at("outlier")]
    classes = [-np.log(softmax(of(pixels.logits, *w))[int(pixels.labels[w])]) for w in pixels.at("known")]
    found = energy_margin(pixels.logits, pixels.labels, pixels.inlier, pixels.outlier, (-6, -1), weight=0.2)
    assert float(found["inliers"]) == pytest.approx(0.2 * np.mean(inside))
    assert float(found["outliers"]) == pytest.approx(0.2 * np.mean(outside))
    assert float(found["classes"]) == pytest.approx(np.mean(classes))


def test_inliers_sink_and_outliers_rise():
    energies = torch.tensor([[[-3.0, -9.0, -3.0, -9.0]]], requires_grad=True)
    inlier = torch.tensor([[[True, True, False, False]]])
    sum(hinges(energies, inlier, ~inlier, (-6.0, -5.0)).values()).backward()
    # Beyond their margins nothing pulls at them.
    assert energies.grad.flatten().tolist() == [3.0, 0.0, 0.0, -4.0]


@pytest.mark.parametrize(("energies", "margins"), [([-10.0, -14.0], (-12, -6)), ([2.0, 4.0], (3, 4.5))])
def test_margins_in_the_scale_of_the_network(energies, margins):
    every = torch.tensor([[[*energies, 100.0]]])
    assert measured_margins(every, torch.tensor([[[True, True, False]]])) == pytest.approx(margins)
