import numpy as np
import torch
from torch.nn import functional as F

from failure_parts import make_segmenter
from oodseg.training.observer import attacked, attacked_places


def test_places_are_ellipses_that_differ():
    where = attacked_places(8, (40, 60), 3)
    assert where.shape == (8, 40, 60)
    assert where.dtype == torch.bool
    shares = where.float().mean((1, 2))
    assert 0 < shares.max() < np.pi / 4 * 0.25 + 0.02
    assert not torch.equal(where[0], where[1])
    assert torch.equal(where, attacked_places(8, (40, 60), 3))


def test_an_attack_raises_doubt_in_its_place_and_nowhere_else():
    segmenter = make_segmenter()
    torch.manual_seed(1)
    images = 0.2 + 0.6 * torch.rand(2, 3, 64, 64)
    where = torch.zeros(2, 64, 64, dtype=torch.bool)
    where[:, 16:48, 16:48] = True
    found = attacked(segmenter, images, where, 0.05)
    change = (found - images).abs()
    assert change.amax() <= 0.05 + 1e-6
    assert (change * ~where[:, None]).amax() == 0
    assert (change[:, :, 20:40, 20:40] > 0).float().mean() > 0.9
    logits, harmed = segmenter(images)[0], segmenter(found)[0]
    predicted = logits.argmax(1)
    assert F.cross_entropy(harmed, predicted) > F.cross_entropy(logits, predicted)
    assert not found.requires_grad
