"""Outlines that can be moved: a mask in a box, its overlap with others, and what lies between two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodseg.core.objects import OodObject, encode_objects

_GRID = 48  # samples per side: finer than what changes in an outline from frame to frame


@dataclass(frozen=True, eq=False)
class Shape:
    """A mask that fills its box and moves with it.

    Attributes:
        box: `(x0, y0, x1, y1)` in pixels, float64 `[4]`.
        mask: Bool `[h, w]`, spread over the box.
    """

    box: NDArray[np.float64]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, found: OodObject) -> Shape:
        """Cuts the outline of an object out of its image."""
        x, y, width, height = (int(value) for value in found.bbox)
        box = np.array([x, y, x + width, y + height], np.float64)
        return cls(box, np.ascontiguousarray(found.mask[y : y + height, x : x + width]))

    def at(self, box: NDArray[np.float64]) -> Shape:
        """Moves and scales the shape into another box."""
        return Shape(box, self.mask)

    def sample(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Looks the shape up at the crossings of columns `x [n]` and rows `y [m]`, bool `[m, n]`."""
        x0, y0, x1, y1 = self.box
        height, width = self.mask.shape
        column = np.floor((x - x0) / (x1 - x0) * width).astype(np.int64)
        row = np.floor((y - y0) / (y1 - y0) * height).astype(np.int64)
        in_column, in_row = (column >= 0) & (column < width), (row >= 0) & (row < height)
        values = self.mask[row.clip(0, height - 1)][:, column.clip(0, width - 1)]
        return np.asarray(values & in_row[:, None] & in_column[None, :])

    def paint(self, height: int, width: int) -> NDArray[np.bool_]:
        """Paints the shape into an empty image, bool `[height, width]`; what lies outside is cut off."""
        return self.sample(np.arange(0.5, width), np.arange(0.5, height))


def mask_iou(first: Shape, second: Shape) -> float:
    """Measures intersection over union of two masks, sampled on a grid over both: 0..1."""
    low, high = np.minimum(first.box[:2], second.box[:2]), np.maximum(first.box[2:], second.box[2:])
    steps = (np.arange(_GRID) + 0.5) / _GRID
    x, y = (low[axis] + steps * (high[axis] - low[axis]) for axis in (0, 1))
    one, other = first.sample(x, y), second.sample(x, y)
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def box_iou(first: NDArray[np.float64], second: NDArray[np.float64], buffer: float = 0.0) -> float:
    """Measures intersection over union of two boxes `[4]`, xyxy: 0..1.

    Args:
        first: A box.
        second: Another one.
        buffer: How much both are grown on every side, as a share of their sides (Yang et al., "Hard to Track
            Objects with Irregular Motions and Similar Appearances? Make It Easier by Buffering the Matching
            Space", WACV 2023, Eq. 1).
    """
    first, second = _grown(first, buffer), _grown(second, buffer)
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(sides, 0.0)))
    areas = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]))
    return shared / (areas - shared) if shared else 0.0


def between(before: Shape, after: Shape, share: float) -> Shape:
    """Places the nearer of two shapes of one object in the box between theirs.

    Args:
        before: The shape at 0.
        after: The shape at 1.
        share: 0..1.
    """
    nearer = before if share < 0.5 else after
    return nearer.at((1 - share) * before.box + share * after.box)


def outline(shape: Shape, height: int, width: int, confidence: float) -> OodObject | None:
    """Makes the object of a shape in an image of that size; None where no pixel of it lies inside."""
    objects = encode_objects(shape.paint(height, width)[None], shape.box[None], [confidence])
    return objects[0] if objects else None


def _grown(box: NDArray[np.float64], buffer: float) -> NDArray[np.float64]:
    margin = buffer * (box[2:] - box[:2])
    return np.concatenate([box[:2] - margin, box[2:] + margin])
