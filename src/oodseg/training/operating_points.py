"""Chooses from which confidence on each operating point proposes a box, once and for all users."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.reading import Reading
from oodseg.training.box_calibration import calibrate
from oodseg.training.box_quality import Candidates, Found, assign, collect, summary
from oodseg.training.score_source import Ordinary

if TYPE_CHECKING:
    from oodseg.training.score_cache import CachedScene, ScoreCache

# False boxes per ordinary validation image that each operating point may leave: two fifths of its aim (0.09,
# 0.25 and 1), for validation streets are few, and streets of other drives raise more than twice as many.
FALSE_PER_IMAGE = {"quiet": 0.035, "balanced": 0.1, "thorough": 0.4}


def read_confidences(
    generator: FasterRCNNPrompts, validation: ScoreCache, known: Sequence[Ordinary]
) -> dict[str, Any]:
    """Fits calibration and operating points, with image features and without, in place.

    Returns:
        The results of `choose_operating_points`, per reading.
    """
    chosen = {}
    for name in ("with_features", "score_only") if generator.features else ("score_only",):
        hidden = name == "score_only"
        setattr(generator, name, Reading())
        calibration = calibrate(generator, validation, known, hidden)
        setattr(generator, name, Reading(calibration))
        chosen[name] = choose_operating_points(generator, validation, known, hidden)
        setattr(generator, name, Reading(calibration, chosen[name]["operating_points"]))
    return chosen


def choose_operating_points(
    generator: Candidates,
    scenes: Iterable[CachedScene],
    ordinary: Iterable[Ordinary] = (),
    hidden: bool = False,
) -> dict[str, Any]:
    """Chooses the confidence below which each operating point proposes no box, once and for all users.

    The smallest one that leaves at most `FALSE_PER_IMAGE` boxes per image where nothing is unknown. Without
    ordinary images, when only made-up scenes can say what is quiet, at least the one of the best F1.

    Args:
        generator: In evaluation mode.
        scenes: Synthetic validation scenes, some of them without any unknown object.
        ordinary: Real images in which nothing is unknown. Where there are any, they and not the empty scenes
            say what is quiet: made-up scenes are harder than roads.
        hidden: Show the score alone.

    Returns:
        `operating_points` (least confidence by name), `best_f1` (that of the best F1 on scenes), `curve`
        (recall over false boxes per ordinary image) and the `summary` at each point.
    """
    found = collect(generator, scenes, hidden)
    nothing = np.zeros((0, 4), np.float32)
    known = [
        Found.of(generator.candidates(each.score[None], None if hidden else each.features)[0], nothing)
        for each in ordinary
    ]
    best = _best_f1(found)
    points = {}
    for name, allowed in FALSE_PER_IMAGE.items():
        steps = math.ceil(least_confidence(known or found, allowed) * 1e4)
        # Rounded up or down so that neither loses what it stands for.
        points[name] = min(1.0, (steps if known else max(steps, math.floor(best * 1e4))) / 1e4)
    return {
        "operating_points": points,
        "best_f1": best,
        "curve": recall_curve(found, known or found),
        "summary": {name: summary(found, least) for name, least in points.items()},
    }


def recall_curve(found: list[Found], known: list[Found]) -> list[dict[str, float]]:
    """Measures recall on scenes over false boxes per ordinary image, from 0.01 to 1."""
    rows = []
    for allowed in (0.01, 0.02, 0.04, 0.05, 0.08, 0.1, 0.2, 0.4, 0.5, 1.0):
        least = least_confidence(known, allowed)
        at = summary(found, least)
        rows.append(
            {"false_per_image": allowed, "confidence": least, "recall50": at["recall50"], "f1": at["f1"]}
        )
    return rows


def least_confidence(found: list[Found], allowed: float) -> float:
    """Finds the smallest confidence with at most `allowed` boxes per image without an unknown object."""
    empty = [each.confidence for each in found if len(each.truth) == 0]
    confidence = np.sort(np.concatenate(empty))[::-1] if empty else np.zeros(0)
    most = int(allowed * len(empty))
    # Just above the first box that is one too many.
    return float(np.nextafter(confidence[most], np.float32(2))) if len(confidence) > most else 0.0


def _best_f1(found: list[Found]) -> float:
    confidence = np.concatenate([np.zeros(0, np.float32), *(each.confidence for each in found)])
    if len(confidence) == 0:
        return 0.0
    total = sum(len(each.truth) for each in found)
    hit = np.concatenate([assign(each, 0.5) >= 0 for each in found])
    order = np.argsort(-confidence, kind="stable")
    f1 = 2 * np.cumsum(hit[order]) / (np.arange(1, len(order) + 1) + max(total, 1))
    return float(confidence[order][int(f1.argmax())])
