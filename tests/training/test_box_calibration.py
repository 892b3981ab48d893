import math

import numpy as np
import pytest
from box_fakes import A, Fixed, numbered, street

from oodseg.training.box_calibration import _logistic_regression, calibrate
from oodseg.training.score_cache import CachedScene


def test_calibration_gives_the_chance_of_an_object() -> None:
    # At a confidence of 0.5, 30 of 40 scenes hold a true box; of 40 ordinary images 10 hold a false one:
    # with one object per image that is a chance of 0.75 / (0.75 + 0.25).
    hit, nothing = ([list(A)], [0.5]), ([], [])
    answers = [hit] * 30 + [nothing] * 10 + [hit] * 10 + [nothing] * 30
    scenes = [CachedScene(numbered(index), np.array([A], np.float32)) for index in range(40)]
    ordinary = [street(index) for index in range(40, 80)]
    slope, _, offset = calibrate(Fixed(answers), scenes, ordinary)
    assert slope > 0
    assert 1 / (1 + math.exp(-offset)) == pytest.approx(0.75, abs=0.01)


def test_calibration_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    answers, scenes, ordinary, evidence = [], [], [], []
    for index in range(120):
        unknown = index < 80
        confidence = float(rng.beta(3, 2) if unknown else rng.beta(2, 3))
        level = float(np.float16(rng.normal(1.5 if unknown else 1.0)))
        answers.append(([list(A)], [confidence]))
        evidence.append([np.float32(confidence), level])
        if unknown:
            scenes.append(CachedScene(numbered(index, level), np.array([A], np.float32)))
        else:
            ordinary.append(street(index, level))
    x = np.array(evidence, np.float64)
    x[:, 0] = np.log(x[:, 0] / (1 - x[:, 0]))
    hit = np.arange(120) < 80
    reference = LogisticRegression(C=1e6).fit(x, hit, np.where(hit, 1 / 80, 1 / 40) * 1e4)
    slope, level, offset = calibrate(Fixed(answers), scenes, ordinary)
    assert [slope, level] == pytest.approx(reference.coef_[0].tolist(), rel=0.02)
    assert offset == pytest.approx(float(reference.intercept_[0]), abs=0.02)


def test_nothing_to_calibrate_by_changes_nothing() -> None:
    scenes = [CachedScene(numbered(0), np.array([A], np.float32))]
    assert calibrate(Fixed([([], [])]), scenes, []) == (1.0, 0.0, 0.0)


def newton(x, hit, weight):
    """The same fit written out, for comparison."""
    columns = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    prior, pull = np.array([1.0, 0.0, 0.0]), 1e-3 * np.eye(3)
    found = prior.copy()
    for _ in range(50):
        chance = 1 / (1 + np.exp(-columns @ found))
        gradient = columns.T @ (weight * (chance - hit)) + pull @ (found - prior)
        curvature = (columns * (weight * chance * (1 - chance))[:, None]).T @ columns + pull
        found = found - np.linalg.solve(curvature, gradient)
    return found


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_the_least_of_its_loss(seed, separable) -> None:
    rng = np.random.default_rng(seed)
    hit = np.arange(90) < 50
    x = rng.normal(size=(90, 2)) + (8.0 if separable else 1.0) * hit[:, None]
    weight = np.where(hit, 1 / 30, 1 / 60)
    found = _logistic_regression(x, hit, weight)
    assert found == pytest.approx(newton(x, hit, weight).tolist(), abs=1e-6)


def test_the_order_of_confidences_is_kept() -> None:
    hit = np.array([True] * 20 + [False] * 20)
    x = np.stack([np.where(hit, -3.0, 3.0), np.zeros(40)], axis=1)
    assert _logistic_regression(x, hit, np.full(40, 1 / 20))[0] == 0.01
