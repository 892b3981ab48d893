"""Evaluates boxes on synthetic validation scenes, calibrates confidences, chooses operating points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from oodseg.prompts.geometry import middle_score

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.core.parts import BoxPrompts
    from oodseg.training.score_cache import CachedScene

# False boxes per ordinary validation image that each operating point may leave: two fifths of its aim (0.1,
# 0.25 and 1), for validation streets are few, and streets of other drives raise about twice as many.
FALSE_PER_IMAGE = {"quiet": 0.04, "balanced": 0.1, "thorough": 0.4}
# Side of a square of the same area, in pixels.
SIZES = {"small": (0.0, 24.0), "medium": (24.0, 72.0), "large": (72.0, float("inf"))}


class Candidates(Protocol):
    """A prompt generator that also gives the boxes it is unsure of."""

    def candidates(self, scores: Tensor, features: Sequence[Tensor] | None = None) -> list[BoxPrompts]:
        """As `propose`, down to a very low confidence."""
        ...


@dataclass(frozen=True)
class Found:
    """Boxes of one scene beside the true ones.

    Attributes:
        boxes: Float32 `[N, 4]`, `xyxy`, most confident first.
        confidence: Float32 `[N]`.
        truth: Float32 `[M, 4]`.
    """

    boxes: NDArray[np.float32]
    confidence: NDArray[np.float32]
    truth: NDArray[np.float32]

    @classmethod
    def of(cls, prompts: BoxPrompts, truth: NDArray[np.float32]) -> Found:
        """Takes boxes out of torch."""
        return cls(prompts.boxes.cpu().numpy(), prompts.confidence.cpu().numpy(), truth)


@dataclass(frozen=True)
class Ordinary:
    """A real image in which nothing is unknown, as a generator sees it.

    Attributes:
        score: Normalised, float32 `[H, W]`.
        features: Image features `[1, C, h, w]`, or None.
    """

    score: Tensor
    features: tuple[Tensor, ...] | None = None


def shown(scene: CachedScene, hidden: bool) -> tuple[Tensor, list[Tensor] | None]:
    """Brings a cached scene to what a generator takes: scores `[1, H, W]`, and features unless `hidden`."""
    scores = torch.from_numpy(scene.scores[:1].astype(np.float32))
    if hidden or not scene.features:
        return scores, None
    return scores, [torch.from_numpy(each.astype(np.float32))[None] for each in scene.features]


def collect(generator: Candidates, scenes: Iterable[CachedScene], hidden: bool = False) -> list[Found]:
    """Runs a generator over cached scenes.

    Args:
        generator: In evaluation mode.
        scenes: Cached scenes.
        hidden: Show the score alone.
    """
    return [Found.of(generator.candidates(*shown(scene, hidden))[0], scene.boxes) for scene in scenes]


def assign(found: Found, min_iou: float) -> NDArray[np.int64]:
    """Gives every box, most confident first, the free true box it overlaps most.

    Returns:
        Int64 `[N]`: index of the true box, or -1 for a false box. Boxes beyond a confidence do not change
        the assignment of those before it.
    """
    assigned = np.full(len(found.boxes), -1, np.int64)
    if len(found.truth) == 0 or len(found.boxes) == 0:
        return assigned
    iou = box_iou(torch.from_numpy(found.boxes), torch.from_numpy(found.truth)).numpy()
    for index, row in enumerate(iou):
        best = int(row.argmax())
        if row[best] >= min_iou:
            assigned[index] = best
            iou[:, best] = -1.0
    return assigned


def average_precision(found: list[Found], min_iou: float) -> float:
    """Area under the precision-recall curve of all scenes together, precision made monotone (as COCO, exact).

    Returns:
        0..1; NaN without any true box.
    """
    total = sum(len(each.truth) for each in found)
    if total == 0:
        return float("nan")
    hit = np.concatenate([assign(each, min_iou) >= 0 for each in found])
    hit = hit[np.argsort(-np.concatenate([each.confidence for each in found]), kind="stable")]
    true = np.cumsum(hit)
    precision = true / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hit).sum() / total)


def summary(found: list[Found], min_confidence: float) -> dict[str, float]:
    """Recall, false boxes and AP at one confidence.

    Returns:
        `recall50`, `recall75`, `recall50_small` .. `_large` (side under 24, under 72, over), `precision50`,
        `f1`, `ap50` (of all candidates), `false_per_image`, `false_per_empty` (images without an unknown
        object); NaN where there is nothing to divide by.
    """
    sure = [_cut(each, min_confidence) for each in found]
    values: dict[str, float] = {}
    truth = np.concatenate([each.truth for each in found]) if found else np.zeros((0, 4), np.float32)
    side = np.sqrt((truth[:, 2:] - truth[:, :2]).prod(axis=1))
    hit = {
        iou: np.concatenate([_hit(each, iou) for each in sure] or [np.zeros(0, bool)]) for iou in (0.5, 0.75)
    }
    values["recall50"], values["recall75"] = _mean(hit[0.5]), _mean(hit[0.75])
    for name, (low, high) in SIZES.items():
        values[f"recall50_{name}"] = _mean(hit[0.5][(side >= low) & (side < high)])
    boxes = sum(len(each.boxes) for each in sure)
    true = int(hit[0.5].sum())
    values["precision50"] = true / boxes if boxes else float("nan")
    values["f1"] = 2 * true / (boxes + len(truth)) if boxes + len(truth) else float("nan")
    values["ap50"] = average_precision(found, 0.5)
    values["false_per_image"] = (boxes - true) / len(sure) if sure else float("nan")
    values["false_per_empty"] = _mean(np.array([len(each.boxes) for each in sure if len(each.truth) == 0]))
    return values


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
    """Both slopes and the offset by Newton's method; a weak pull to neutral keeps separable data finite."""
    columns = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    prior, pull = np.array([1.0, 0.0, 0.0]), 1e-3 * np.eye(3)
    parameters = prior.copy()
    for _ in range(50):
        chance = 1 / (1 + np.exp(-columns @ parameters))
        gradient = columns.T @ (weight * (chance - hit)) + pull @ (parameters - prior)
        curvature = (columns * (weight * chance * (1 - chance))[:, None]).T @ columns + pull
        step = np.linalg.solve(curvature, gradient)
        parameters = parameters - step
        if np.abs(step).max() < 1e-9:
            break
    slope, level, offset = (float(each) for each in parameters)
    return max(slope, 1e-2), level, offset


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


def _cut(found: Found, min_confidence: float) -> Found:
    keep = found.confidence >= min_confidence
    return Found(found.boxes[keep], found.confidence[keep], found.truth)


def _hit(found: Found, min_iou: float) -> NDArray[np.bool_]:
    hit = np.zeros(len(found.truth), bool)
    assigned = assign(found, min_iou)
    hit[assigned[assigned >= 0]] = True
    return hit


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
