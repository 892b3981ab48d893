"""Calibrates the confidence of boxes to the chance that they hold an unknown object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from oodseg.prompts.geometry import middle_score
from oodseg.training.box_quality import Candidates, Found, assign, shown
from oodseg.training.score_source import Ordinary

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.core.parts import BoxPrompts
    from oodseg.training.score_cache import CachedScene

_NEUTRAL = np.array([1.0, 0.0, 0.0])  # changes no confidence
_PULL = 1e-3
_LEAST_SLOPE = 1e-2  # the order of the confidences is kept


def calibrate(
    generator: Candidates,
    scenes: Iterable[CachedScene],
    ordinary: Iterable[Ordinary],
    hidden: bool = False,
) -> tuple[float, float, float]:
    """Calibrates the confidence to the probability that the box holds an unknown object.

    A logistic regression on the logit of the confidence (Platt, 1999) and the mean score in the middle of
    the box. True boxes (IoU of at least 0.5) come from synthetic scenes; false ones from real images in
    which nothing is unknown, because scenes are made to be harder than roads. Both are counted per image:
    the chance is that in an image with as many unknown objects as a scene that holds any.

    Args:
        generator: In evaluation mode, its calibration neutral.
        scenes: Synthetic validation scenes.
        ordinary: Real images without anything unknown.
        hidden: Show the score alone.

    Returns:
        For `Reading(calibration=...)`; neutral where there is too little to fit.
    """
    true, false, with_objects, images = [np.zeros((0, 2))], [np.zeros((0, 2))], 0, 0
    for each in scenes:
        scores, features = shown(each, hidden)
        prompts = generator.candidates(scores, features)[0]
        hit = assign(Found.of(prompts, each.boxes), 0.5) >= 0
        true.append(_evidence(prompts, scores[0])[hit])
        with_objects += len(each.boxes) > 0
    for image in ordinary:
        seen = None if hidden else image.features
        false.append(_evidence(generator.candidates(image.score[None], seen)[0], image.score))
        images += 1
    evidence = np.concatenate([*true, *false])
    hit = np.repeat([True, False], [sum(map(len, true)), sum(map(len, false))])
    if not 0 < hit.sum() < len(hit):
        return 1.0, 0.0, 0.0
    weight = np.where(hit, 1 / max(with_objects, 1), 1 / max(images, 1))
    return _logistic_regression(evidence, hit, weight)


def _evidence(prompts: BoxPrompts, score: Tensor) -> NDArray[np.float64]:
    """Logit of the confidence and score in the middle of every box, `[N, 2]`."""
    confidence = np.clip(prompts.confidence.cpu().numpy().astype(np.float64), 1e-4, 1 - 1e-4)
    level = middle_score(score, prompts.boxes.to(score.device)).cpu().numpy()
    return np.stack([np.log(confidence / (1 - confidence)), level], axis=1)


def _logistic_regression(
    x: NDArray[np.float64], hit: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Both slopes and the offset; a weak pull to neutral keeps separable data finite."""
    columns = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    sign = np.where(hit, 1.0, -1.0)

    def loss(parameters: NDArray[np.float64]) -> float:
        surprise = np.logaddexp(0, -sign * (columns @ parameters))
        return float(weight @ surprise + _PULL / 2 * ((parameters - _NEUTRAL) ** 2).sum())

    def gradient(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        error = expit(columns @ parameters) - hit
        return np.asarray(columns.T @ (weight * error) + _PULL * (parameters - _NEUTRAL))

    def curvature(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        chance = expit(columns @ parameters)
        return np.asarray(
            (columns * (weight * chance * (1 - chance))[:, None]).T @ columns + _PULL * np.eye(3)
        )

    # scikit-learn pulls to zero alone, and its offset not at all.
    found = minimize(
        loss, _NEUTRAL, method="trust-exact", jac=gradient, hess=curvature, options={"gtol": 1e-10}
    )
    slope, level, offset = (float(each) for each in found.x)
    return max(slope, _LEAST_SLOPE), level, offset
