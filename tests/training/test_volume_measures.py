import numpy as np
import pytest
import torch

from oodseg.core.parts import Assessment, Judge
from oodseg.training.volume_measures import measure_volumes

CLASSES = ("background", "a", "b")


class Knowing(Judge):
    """Says of every class the Dice that it is told."""

    name = "knowing"
    classes = CLASSES

    def __init__(self, dice):
        self.dice = dice

    def assess(self, image, labels=None):
        labels = labels.numpy().astype(np.uint8)
        quality = np.where(np.isin(np.arange(3), labels), self.dice, np.nan).astype(np.float32)
        return Assessment(
            labels, np.zeros(labels.shape, np.float32), None, quality, float(np.nanmean(quality))
        )


class Slice:
    def __init__(self, case, truth, predicted):
        self.case, self.truth, self.predicted = case, truth, predicted

    def read(self):
        return np.zeros((*self.truth.shape, 3), np.uint8), self.truth

    def labels(self, image):
        return torch.from_numpy(self.predicted)


@pytest.fixture(scope="module")
def slices():
    rng = np.random.default_rng(0)
    shape = (12, 4, 10, 10)  # twelve scans of four slices
    truth = rng.integers(0, 3, shape).astype(np.uint8)
    predicted = np.where(rng.random(shape) < 0.3, rng.integers(0, 3, shape), truth).astype(np.uint8)
    truth[0][truth[0] == 2] = 0
    return [Slice(f"case{k}", *each) for k in range(12) for each in zip(truth[k], predicted[k], strict=True)]


def test_true_dice_is_that_of_the_whole_volume(slices):
    found = measure_volumes(Knowing([0, 0.8, 0.6]), slices)
    assert found.structures == ("a", "b")
    assert found.cases == tuple(f"case{k}" for k in range(12))
    truth = np.stack([each.truth for each in slices[4:8]])
    predicted = np.stack([each.predicted for each in slices[4:8]])
    for column, number in enumerate((1, 2)):
        both = ((truth == number) & (predicted == number)).sum()
        dice = 2 * both / ((truth == number).sum() + (predicted == number).sum())
        assert found.true[1, column] == pytest.approx(dice)
    assert np.isnan(found.true[0, 1])
    np.testing.assert_allclose(found.estimated, [[0.8, 0.6]] * 12, atol=1e-4)
    expected = [np.nanmean(np.abs(found.true[:, k] - found.estimated[:, k])) for k in (0, 1)]
    assert found.figures["volume_mae"] == pytest.approx(np.mean(expected), abs=1e-3)


def test_intervals_reach_as_far_as_the_estimates_were_off(slices):
    found = measure_volumes(Knowing([0, 0.8, 0.6]), slices)
    intervals = found.intervals(0.9, "fabricated")
    off = np.sort(np.abs(found.true[:, 0] - found.estimated[:, 0]))
    assert intervals.reach["a"] == pytest.approx(off[11], abs=1e-4), "the 12th of 12: ceil(13 * 0.9)"
    assert intervals.scans == 11
    assert found.intervals(0.95, "too few scans for that") is None
