"""Where labels go: beside their objects, off the others and off each other. Plain geometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""`(x0, y0, x1, y1)`."""

# Above and to the right first: where the eye looks for a label.
_DIRECTIONS = ((1, -1), (0, -1), (-1, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (0, 1))
_REACHES = (1.0, 2.0, 3.5, 6.0, 10.0)


def place_labels(
    outlines: Sequence[NDArray[np.float64]],
    sizes: Sequence[tuple[float, float]],
    canvas: tuple[float, float],
    gap: float,
) -> list[Box]:
    """Finds a place for every object's label.

    Labels lie inside the canvas and, as long as there is room, cover neither an object nor each other; an
    object that leaves no room beside it has its label on itself.

    Args:
        outlines: Per object float `[K, 2]`: `(x, y)` of points along its outline, K at least 1; the most
            important object first.
        sizes: Width and height of each one's label.
        canvas: Width and height of the canvas.
        gap: Distance at which a label stands from its object.

    Returns:
        The labels' boxes, in the order of the objects.
    """
    objects: list[Box] = [(*points.min(axis=0), *points.max(axis=0)) for points in outlines]
    placed: list[Box] = []
    for own, (points, size) in enumerate(zip(outlines, sizes, strict=True)):
        best: tuple[float, Box] | None = None
        for label, distance in _candidates(points, size, gap):
            moved = _inside(label, canvas)
            area = max(1e-9, size[0] * size[1])
            on_labels = sum(intersection(moved, each) for each in placed) / area
            on_others = sum(intersection(moved, each) for i, each in enumerate(objects) if i != own) / area
            # A label that had to be moved may lie on its own object now.
            on_own = 0.0 if moved == label else intersection(moved, objects[own]) / area
            cost = 100 * on_labels + 6 * on_others + 4 * on_own + 0.3 * distance
            if best is None or cost < best[0]:
                best = cost, moved
        assert best is not None
        placed.append(best[1])
    return placed


def _candidates(
    points: NDArray[np.float64], size: tuple[float, float], gap: float
) -> Iterator[tuple[Box, float]]:
    """Labels beside an object, each with how far off it is (good directions count as nearer)."""
    width, height = size
    for rank, (right, down) in enumerate(_DIRECTIONS):
        # All of the object lies on the near side of its outermost point.
        x, y = points[np.argmax(points @ np.array([right, down]))]
        for reach in _REACHES:
            away = gap * reach / np.hypot(right, down)
            left = float(x + right * away - width * (1 - right) / 2)
            top = float(y + down * away - height * (1 - down) / 2)
            yield (left, top, left + width, top + height), reach + 0.05 * rank


def _inside(label: Box, canvas: tuple[float, float]) -> Box:
    """The label moved into the canvas."""
    width, height = label[2] - label[0], label[3] - label[1]
    x = max(0.0, min(label[0], canvas[0] - width))
    y = max(0.0, min(label[1], canvas[1] - height))
    return x, y, x + width, y + height


def intersection(one: Box, other: Box) -> float:
    """Area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def nearest_point(box: Box, point: tuple[float, float]) -> tuple[float, float]:
    """The point of a box that is nearest to another point."""
    return max(box[0], min(point[0], box[2])), max(box[1], min(point[1], box[3]))
