import numpy as np
import pytest

from oodseg.core.gating import GAIN, GATED_HIGHEST, GATED_LOWEST, gate_score
from oodseg.core.normalization import HIGHEST, LOWEST
from oodseg.core.prediction import Prediction


@pytest.mark.parametrize(
    ("score", "confidence", "gated"),
    [
        (0.0, 0.0, -GAIN / 2),
        (0.0, 0.5, 0.0),
        (0.0, 1.0, GAIN / 2),
        (3.0, 1.0, 3 + GAIN / 2),
        (-2.0, 0.25, -2 - GAIN / 4),
        (LOWEST, 0.0, GATED_LOWEST),
        (HIGHEST, 1.0, GATED_HIGHEST),
    ],
)
def test_it_is_raised_in_certain_objects_and_lowered_outside(score, confidence, gated):
    found = gate_score(np.full((2, 3), score, np.float32), np.full((2, 3), confidence, np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.full((2, 3), gated))


def test_outside_masks_the_order_stays(rng):
    score = rng.normal(size=(6, 8)).astype(np.float32)
    found = gate_score(score, np.zeros((6, 8), np.float32))
    assert (np.argsort(found, axis=None) == np.argsort(score, axis=None)).all()


def test_it_has_the_size_of_the_masks():
    score = np.array([[0, 4], [0, 4]], np.float32)
    confidence = np.zeros((4, 8), np.float32)
    confidence[:, 6:] = 1
    found = gate_score(score, confidence)
    assert found.shape == (4, 8)
    np.testing.assert_allclose(found[0], [-4, -4, -3.5, -2.5, -1.5, -0.5, 8, 8])


def test_a_prediction_gates_its_own_score():
    mask = np.zeros((1, 4, 8), bool)
    mask[0, :2, :4] = True
    score = np.zeros((2, 4), np.float32)
    found = Prediction.from_masks(mask, [[0, 0, 4, 2]], [0.75], score=score)
    np.testing.assert_allclose(found.gated_score, np.where(mask[0], GAIN / 4, -GAIN / 2))
    assert Prediction.from_masks(mask, [[0, 0, 4, 2]], [0.75]).gated_score is None
