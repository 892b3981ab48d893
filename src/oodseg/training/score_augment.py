"""Augments cached score maps before each training step of the prompt generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Map = NDArray[np.floating[Any]]
_CLAMP = (-4.0, 16.0)  # the range of `ScoreNormalizer`
_MIN_SIDE = 4
_CANVAS = 64  # networks see maps padded to a multiple of this
_MIN_VISIBLE = 0.25


class ScoreAugment(BaseModel):
    """Mirrors, rescales and disturbs normalised score maps.

    Attributes:
        flip: Chance of mirroring.
        scale: Smallest and largest factor of the map's size.
        gain: Smallest and largest factor of the normalised score, so that other scores fit.
        bias: Largest shift of the normalised score, either way.
        unevenness: Largest standard deviation of a smooth random field that is added: the score of an object
            that the detector has never seen is patchy, and so is that of a strange background.
        fading: Chance that an object's score sinks towards that around it, all over or towards one side: real
            objects are often seen in part.
        fluctuation: Random factor 1 ± this on every element, drawn anew each time (S2M, CVPR 2024: 0.01).
    """

    model_config = ConfigDict(extra="forbid")

    flip: float = Field(default=0.5, ge=0, le=1)
    scale: tuple[float, float] = (1.0, 1.0)
    gain: tuple[float, float] = (1.0, 1.0)
    bias: float = Field(default=0.0, ge=0)
    unevenness: float = Field(default=0.0, ge=0)
    fading: float = Field(default=0.0, ge=0, le=1)
    fluctuation: float = Field(default=0.01, ge=0, lt=1)

    def __call__(
        self, score: Map, boxes: Map, rng: np.random.Generator, features: Sequence[Map] = ()
    ) -> tuple[Map, Map, list[Map]]:
        """Augments one map.

        A map that grows is cut back to its size at a random place; boxes that are mostly cut away, or
        too small after shrinking, go.

        Args:
            score: Float `[H, W]`.
            boxes: Float `[N, 4]`, `xyxy`.
            rng: Random generator.
            features: Image features behind the map, float `[C, H / stride, W / stride]` each, of a canvas
                that is the map padded to a multiple of 64.

        Returns:
            Float32 `[h, w]` with `h <= H`, `w <= W`, float32 `[n, 4]` within it, and the features of the same
            view, float32, on a canvas of their own.
        """
        score = score.astype(np.float32)
        old, view = score.shape, _View()
        if rng.random() < self.flip:
            view = replace(view, mirrored=True)
            width = score.shape[1]
            score = score[:, ::-1]
            boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
        factor = _log_uniform(rng, self.scale)
        if factor != 1.0:
            score, boxes, view = _rescale(score, boxes, factor, rng, view)
        if self.fading:
            score = np.array(score)
            for box in boxes:
                if rng.random() < self.fading:
                    _fade(score, box, rng)
        score = score * _log_uniform(rng, self.gain) + rng.uniform(-self.bias, self.bias)
        if self.unevenness:
            score = score + rng.uniform(0, self.unevenness) * _smooth_field(score.shape, rng)
        score = score * rng.uniform(1 - self.fluctuation, 1 + self.fluctuation, score.shape)
        seen = [_seen(each, old, score.shape, view) for each in features]
        return score.clip(*_CLAMP).astype(np.float32), boxes.astype(np.float32), seen


@dataclass(frozen=True)
class _View:
    """Holds the part of a map that is seen, and its scale: mirrored first, then scaled, then cut."""

    mirrored: bool = False
    y: float = 1.0
    x: float = 1.0
    top: int = 0
    left: int = 0


def _seen(features: Map, old: Sequence[int], new: Sequence[int], view: _View) -> Map:
    """Samples features at the cells of the new map's canvas, bilinearly."""
    import torch
    from torch.nn import functional as F

    before, after = ([-(-side // _CANVAS) * _CANVAS for side in sides] for sides in (old, new))
    stride = before[0] // features.shape[1]
    rows, columns = ((torch.arange(side // stride) + 0.5) * stride for side in after)
    y, x = (rows + view.top) / view.y, (columns + view.left) / view.x
    if view.mirrored:
        x = old[1] - x
    grid = torch.stack(
        [
            (2 * x / before[1] - 1)[None, :].expand(len(y), -1),
            (2 * y / before[0] - 1)[:, None].expand(-1, len(x)),
        ],
        dim=-1,
    )
    source = torch.from_numpy(np.asarray(features, np.float32))[None]
    sampled = F.grid_sample(source, grid[None], padding_mode="border", align_corners=False)
    return np.asarray(sampled[0].numpy(), np.float32)


def _fade(score: Map, box: Map, rng: np.random.Generator) -> None:
    """Takes away a part of what stands out in a box, in place: all over, or more and more to a side."""
    height, width = score.shape
    x0, y0, x1, y1 = (round(float(side)) for side in box)
    reach = max(2, (x1 - x0) // 6, (y1 - y0) // 6)
    around = score[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach]
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    if x1 <= x0 or y1 <= y0:
        return
    # Inside and around the box the darker pixels are what surrounds the object.
    level = float(np.quantile(around, 0.25))
    taken: Any = float(rng.uniform(0.1, 0.55))
    if rng.random() < 0.6:
        turn, most = rng.uniform(0, 2 * math.pi), float(rng.uniform(0.4, 0.95))
        down, across = np.linspace(-1, 1, y1 - y0)[:, None], np.linspace(-1, 1, x1 - x0)[None]
        way = across * math.cos(turn) + down * math.sin(turn) + float(rng.uniform(-0.6, 0.6))
        taken = most * np.clip(0.5 + 1.5 * way, 0, 1)
    inside = score[y0:y1, x0:x1]
    inside -= (taken * np.maximum(inside - level, 0)).astype(inside.dtype)


def _smooth_field(shape: tuple[int, ...], rng: np.random.Generator) -> Map:
    """Normal noise that changes over 12 to 60 pixels, float32 `[H, W]`."""
    height, width = shape
    cell = _log_uniform(rng, (12.0, 60.0))
    coarse = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2), np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    low, high = limits
    return math.exp(rng.uniform(math.log(low), math.log(high))) if low < high else low


def _rescale(
    score: Map, boxes: Map, factor: float, rng: np.random.Generator, view: _View
) -> tuple[Map, Map, _View]:
    old = np.array(score.shape)
    new = np.maximum(1, np.rint(old * factor)).astype(int)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    height, width = int(new[0]), int(new[1])
    score = cv2.resize(np.ascontiguousarray(score, np.float32), (width, height), interpolation=how)
    top, left = (int(rng.integers(0, spare + 1)) for spare in np.maximum(0, new - old))
    score = score[top : top + int(old[0]), left : left + int(old[1])]
    y, x = new / old
    moved = boxes * np.array([x, y, x, y]) - np.array([left, top, left, top])
    limit = np.array([score.shape[1], score.shape[0]] * 2)
    cut = moved.clip(0, limit)
    side = cut[:, 2:] - cut[:, :2]
    whole = (moved[:, 2:] - moved[:, :2]).prod(axis=1)
    stays = (side.min(axis=1, initial=np.inf) >= _MIN_SIDE) & (side.prod(axis=1) >= _MIN_VISIBLE * whole)
    return score, cut[stays], replace(view, y=float(y), x=float(x), top=top, left=left)
