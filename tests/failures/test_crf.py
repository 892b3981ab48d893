import numpy as np
import pytest
import torch

from failure_parts import make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.failures.crf import CRF, mean_field, places
from oodseg.segmenters import Segmentation
from oodseg.segmenters.given import GivenLabels


def plain(odds, kernels, steps):
    """The same sums, pixel by pixel."""
    unary = odds.ravel()
    found = unary.copy()
    for _ in range(steps):
        spin = 2 / (1 + np.exp(-found)) - 1
        new = unary.copy()
        for weight, features in kernels:
            for i, own in enumerate(features):
                near = np.exp(-((features - own) ** 2).sum(1) / 2)
                near[i] = 0
                new[i] += weight * (near * spin).sum() / near.sum()
        found = new
    return found.reshape(odds.shape)


def test_mean_field_against_plain_numpy():
    rng = np.random.default_rng(0)
    odds, colours = rng.normal(size=(6, 9)), rng.random((54, 3))
    where = places((6, 9), 2.0).numpy()
    kernels = [(0.7, where / 2), (1.3, np.concatenate([where, colours / 0.3], 1))]
    found = mean_field(torch.from_numpy(odds), [(w, torch.from_numpy(f)) for w, f in kernels], 4)
    np.testing.assert_allclose(found.numpy(), plain(odds, kernels, 4), atol=1e-4)


def test_places_are_rows_and_columns():
    assert places((2, 3), 0.5).tolist() == [[0, 0], [0, 2], [0, 4], [2, 0], [2, 2], [2, 4]]


class Doubting(GivenLabels):
    """Doubts a black square in a white image, but for one pixel, and one pixel of the white."""

    def segment(self, images):
        logits = torch.zeros(1, 2, 24, 24)
        logits[0, 0] = 3.0
        logits[0, 0, 8:16, 8:16], logits[0, 0, 11, 11], logits[0, 0, 2, 2] = 0.1, 3.0, 0.1
        return Segmentation(logits)


def test_colours_that_are_alike_are_judged_alike():
    image = torch.ones(3, 24, 24)
    image[:, 8:16, 8:16] = 0
    before = CRF(Doubting("ab"), smoothness=0.0, appearance=0.0).assess(image).error
    assert before[11, 11] == pytest.approx(1 / (1 + np.exp(3)), abs=1e-3)
    after = CRF(Doubting("ab"), smoothness=0.0, appearance=4.0).assess(image).error
    assert after[2, 2] < before[2, 2] - 0.2, "one pixel in doubt among sure ones of its colour"
    assert after[20, 20] < before[20, 20]


def test_crf_settings_that_make_no_sense():
    with pytest.raises(ConfigError, match="a step or more"):
        CRF(make_segmenter(), steps=0)
    with pytest.raises(ConfigError, match="widths above 0"):
        CRF(make_segmenter(), appearance_colour=0)
