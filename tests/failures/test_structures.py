from types import SimpleNamespace

import numpy as np
import pytest

from oodseg.failures.structures import volume_dice


def test_dice_of_a_volume_is_the_weighted_mean_of_its_slices():
    rng = np.random.default_rng(0)
    predicted, true = rng.random((2, 8, 20, 20)) < 0.3
    slices = []
    for one, other in zip(predicted, true, strict=True):
        weight = int(one.sum() + other.sum())
        slices.append(SimpleNamespace(by_class={"a": 2 * (one & other).sum() / weight}, pixels={"a": weight}))
    whole = 2 * (predicted & true).sum() / (predicted.sum() + true.sum())
    assert volume_dice(slices, ("background", "a", "b")) == {"a": pytest.approx(whole, abs=1e-4), "b": None}
