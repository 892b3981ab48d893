import numpy as np
import pytest
import torch

from oodseg.training.losses.corocl import corocl, info_nce


@torch.no_grad()
def test_against_numpy(rng):
    others = rng.normal(size=(6, 3))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    unknown = np.array([True, True, False, False, True, False])
    losses = []
    for i in range(4):
        score = np.exp(others[i] @ others.T / 0.5)
        against = score[unknown != unknown[i]].sum()
        alike = [j for j in range(6) if unknown[j] == unknown[i] and j != i]
        losses.append(np.mean([-np.log(score[j] / (score[j] + against)) for j in alike]))
    vectors, kinds = torch.from_numpy(others), torch.from_numpy(unknown)
    found = info_nce(vectors[:4], kinds[:4], vectors, kinds, temperature=0.5)
    assert float(found) == pytest.approx(np.mean(losses))


@pytest.fixture
def batch():
    """A street and an image of something else, each with outliers on its left."""
    outlier = torch.zeros(2, 4, 6, dtype=torch.bool)
    outlier[..., :3] = True
    return ~outlier, outlier, torch.tensor([False, True])


def test_outliers_of_both_contexts_come_together(batch):
    inlier, outlier, elsewhere = batch
    embedding = torch.randn(2, 2, 4, 6, requires_grad=True)
    before = corocl(embedding, inlier, outlier, elsewhere)
    before.backward()
    with torch.no_grad():
        after = corocl(embedding - 0.5 * embedding.grad, inlier, outlier, elsewhere)
    assert after < before
    ideal = torch.zeros(2, 2, 4, 6)
    ideal[:, 0] = torch.where(outlier, 1.0, -1.0)
    assert float(corocl(ideal, inlier, outlier, elsewhere)) < 1e-3


@pytest.mark.parametrize("elsewhere", [[False, False], [True, True]])
def test_of_one_context_there_is_nothing_to_contrast(batch, elsewhere):
    inlier, outlier, _ = batch
    embedding = torch.randn(2, 2, 4, 6, requires_grad=True)
    found = corocl(embedding, inlier, outlier, torch.tensor(elsewhere))
    found.backward()
    assert float(found.detach()) == 0
    assert not embedding.grad.any()
