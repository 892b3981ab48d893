"""Measures boxes on synthetic scenes: recall by size, precision, false boxes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.core.parts import BoxPrompts
    from oodseg.training.score_cache import CachedScene

# Side of a square of the same area, in pixels.
SIZES = {"small": (0.0, 24.0), "medium": (24.0, 72.0), "large": (72.0, float("inf"))}


class Candidates(Protocol):
    """A prompt generator that also gives the boxes it is unsure of."""

    def candidates(self, scores: Tensor, features: Sequence[Tensor] | None = None) -> list[BoxPrompts]:
        """Proposes as `propose`, down to a very low confidence."""
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
    """Computes the area under the precision-recall curve of all scenes, made monotone (as COCO, exact).

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
    """Computes the recall, false boxes and AP at one confidence.

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
