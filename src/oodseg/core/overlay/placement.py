"""Places labels beside their objects, clear of other objects and of each other. Plain geometry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""`(x0, y0, x1, y1)`."""

# Above and to the right first: where the eye looks for a label.
_DIRECTIONS = ((1, -1), (0, -1), (-1, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (0, 1))
_REACHES = (1.0, 2.0, 3.5, 6.0, 10.0)
_LOYALTY = (
    1.0  # what a label's place in the frame before may cost more: it is worth covering a sixth of an object
)


def place_labels(
    outlines: Sequence[NDArray[np.float64]],
    sizes: Sequence[tuple[float, float]],
    canvas: tuple[float, float],
    gap: float,
    kept: Sequence[int | None] = (),
) -> list[tuple[Box, int]]:
    """Finds a place for every object's label.

    Labels lie inside the canvas and, as long as there is room, cover neither an object nor each other; an
    object that leaves no room beside it has its label on itself.

    Args:
        outlines: Per object float `[K, 2]`: `(x, y)` of points along its outline, K at least 1; the most
            important object first.
        sizes: Width and height of each one's label.
        canvas: Width and height of the canvas.
        gap: Distance at which a label stands from its object.
        kept: Of a video, on which place each one's label stood in the frame before; None if there was none.
            It stays there unless another place is clearly better.

    Returns:
        The labels' boxes, in the order of the objects, each with the number of its place beside the object.
    """
    objects = np.array([(*points.min(axis=0), *points.max(axis=0)) for points in outlines]).reshape(-1, 4)
    placed = np.zeros_like(objects)
    chosen = []
    for own, (points, (width, height)) in enumerate(zip(outlines, sizes, strict=True)):
        size = np.array([width, height])
        corners, distances = _candidates(points, width, height, gap)
        inside = np.clip(corners, 0.0, np.maximum(0.0, np.array(canvas) - size))
        labels = np.concatenate([inside, inside + size], axis=1)
        on_labels = intersections(labels, placed[:own]).sum(axis=1)
        on_each = intersections(labels, objects)
        # Only a label that had to be moved may lie on its own object.
        moved = (inside != corners).any(axis=1)
        on_own = np.where(moved, on_each[:, own], 0.0)
        on_others = on_each.sum(axis=1) - on_each[:, own]
        covered = (100 * on_labels + 6 * on_others + 4 * on_own) / max(1e-9, width * height)
        cost = covered + 0.3 * distances
        before = kept[own] if kept else None
        if before is not None:
            cost[before] -= _LOYALTY
        best = int(np.argmin(cost))
        chosen.append(best)
        placed[own] = labels[best]
        if on_labels[best] > 0:
            placed[own] = _free_place(labels[best], placed[:own], canvas)
    boxes = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in placed]
    return list(zip(boxes, chosen, strict=True))


def _free_place(
    label: NDArray[np.float64], placed: NDArray[np.float64], canvas: tuple[float, float]
) -> NDArray[np.float64]:
    """The nearest place on a grid where a label covers no other; where it is if there is none."""
    width, height = label[2:] - label[:2]
    columns = np.arange(0.0, canvas[0] - width + 1e-9, width)
    rows = np.arange(0.0, canvas[1] - height + 1e-9, height)
    corners = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    places = np.concatenate([corners, corners + label[2:] - label[:2]], axis=1)
    free = places[intersections(places, placed).sum(axis=1) == 0]
    if len(free) == 0:
        return label
    return np.asarray(free[np.argmin(np.hypot(*(free[:, :2] - label[:2]).T))])


def _candidates(
    points: NDArray[np.float64], width: float, height: float, gap: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Upper left corners `[L, 2]` of labels beside an object, and how far off each is `[L]`."""
    corners, distances = [], []
    for rank, (right, down) in enumerate(_DIRECTIONS):
        # All of the object lies on the near side of its outermost point.
        x, y = points[np.argmax(points @ np.array([right, down]))]
        for reach in _REACHES:
            away = gap * reach / np.hypot(right, down)
            left, top = x + right * away - width * (1 - right) / 2, y + down * away - height * (1 - down) / 2
            corners.append((left, top))
            # Good directions count as nearer.
            distances.append(reach + 0.05 * rank)
    return np.array(corners), np.array(distances)


def intersections(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes the area that each of some boxes `[A, 4]` shares with each of others `[B, 4]`, `[A, B]`."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0.0, None).prod(axis=2))


def nearest_point(box: Box, point: tuple[float, float]) -> tuple[float, float]:
    """Computes the point of a box that is nearest to another point."""
    return max(box[0], min(point[0], box[2])), max(box[1], min(point[1], box[3]))
