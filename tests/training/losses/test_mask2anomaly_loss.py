import numpy as np
import pytest
import torch

from oodseg.core.parts import MaskQueries
from oodseg.detectors.query_scores import mask2anomaly as score
from oodseg.training.losses.mask2anomaly import mask2anomaly

INLIER = torch.tensor([[[True, True, False, False, False]]])
OUTLIER = torch.tensor([[[False, False, True, True, False]]])


def test_against_numpy(rng):
    classes, masks = rng.normal(0, 2, (1, 3, 4)), rng.normal(0, 3, (1, 3, 1, 5))
    p = np.exp(classes) / np.exp(classes).sum(-1, keepdims=True)
    votes = (p[0, :, :3, None] / (1 + np.exp(-masks[0, :, None, 0]))).sum(0)
    lost = 1 - votes.max(0)
    found = mask2anomaly(score(MaskQueries(*map(torch.from_numpy, (classes, masks)))), INLIER, OUTLIER, 0.6)
    assert float(found["inliers"]) == pytest.approx(np.mean(lost[:2] ** 2) / 2)
    assert float(found["outliers"]) == pytest.approx(np.mean(np.maximum(0, 0.6 - lost[2:4]) ** 2) / 2)


def test_inliers_sink_and_outliers_rise_up_to_the_margin():
    scores = torch.tensor([[[0.5, -0.5, 0.25, 0.8, 0.1]]], requires_grad=True)
    sum(mask2anomaly(scores, INLIER, OUTLIER).values()).backward()
    assert scores.grad.flatten().tolist() == [0.25, -0.25, -0.25, 0.0, 0.0]


def test_no_outlier_no_loss():
    scores = torch.rand(1, 1, 5)
    assert float(mask2anomaly(scores, INLIER, torch.zeros_like(INLIER))["outliers"]) == 0
