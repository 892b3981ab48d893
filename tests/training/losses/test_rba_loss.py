import numpy as np
import pytest
import torch

from oodseg.core.parts import MaskQueries
from oodseg.detectors.query_scores import rba as score
from oodseg.training.losses.rba import rba

OUTLIER = torch.tensor([[[False, False, True, True, False]]])


def test_against_numpy(rng):
    classes, masks = rng.normal(0, 2, (1, 3, 4)), rng.normal(0, 3, (1, 3, 1, 5))
    p = np.exp(classes) / np.exp(classes).sum(-1, keepdims=True)
    votes = (p[0, :, :3, None] / (1 + np.exp(-masks[0, :, None, 0]))).sum(0)
    rejected = -np.tanh(votes).sum(0)
    found = rba(score(MaskQueries(*map(torch.from_numpy, (classes, masks)))), OUTLIER, target=2.0)
    assert float(found["outliers"]) == pytest.approx(np.mean((2 - rejected[2:4]) ** 2) / 2)


def test_outliers_rise_up_to_the_target_and_nothing_else_moves():
    scores = torch.tensor([[[-1.0, -2.0, -1.0, 0.5, -3.0]]], requires_grad=True)
    rba(scores, OUTLIER, target=0.0)["outliers"].backward()
    assert scores.grad.flatten().tolist() == [0.0, 0.0, -0.5, 0.0, 0.0]


def test_classes_and_masks_of_outliers_fade(rng):
    queries = MaskQueries(
        torch.from_numpy(rng.normal(0, 1, (1, 1, 3))).requires_grad_(),
        torch.from_numpy(rng.normal(0, 1, (1, 1, 1, 5))).requires_grad_(),
    )
    rba(score(queries), OUTLIER)["outliers"].backward()
    assert (queries.masks.grad[0, 0, 0, 2:4] > 0).all(), "descent lowers the masks there"
    assert not queries.masks.grad[0, 0, 0, [0, 1, 4]].any()
    assert queries.classes.grad[0, 0, -1] < 0, "and raises void"
