"""Decides which object of a frame continues which track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError
from oodseg.core.installing import install_extra
from oodseg.tracking.shapes import Shape, box_iou, mask_iou

BUFFER = 0.5
"""How much boxes are grown before they are compared: what is small moves by its own size."""
LEAST = 0.1
"""Similarity under which two outlines are never one thing: a whole and a part of it, or neighbours."""


def similarities(expected: Sequence[Shape], found: Sequence[Shape]) -> NDArray[np.float64]:
    """Compares where tracks are expected with what was found.

    A similarity is the mean of the IoU of the masks and that of the grown boxes. The masks tell apart what
    stands close together; the grown boxes find again what has moved by more than its own size.

    Args:
        expected: The T tracks.
        found: The N objects.

    Returns:
        Float64 `[T, N]` in 0..1.
    """
    values = np.zeros((len(expected), len(found)))
    for row, one in enumerate(expected):
        for column, other in enumerate(found):
            near = box_iou(one.box, other.box, BUFFER)
            if near > 0:
                values[row, column] = (near + mask_iou(one, other)) / 2
    return values


def assign(similarity: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs tracks with objects so that the sum of their similarities is the highest possible.

    Args:
        similarity: `[T, N]`, see `similarities`.

    Returns:
        Pairs of track and object, each at most once, of similarities of at least `LEAST`.

    Raises:
        MissingDependencyError: SciPy is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ModuleNotFoundError as error:
        if error.name != "scipy":
            raise
        raise MissingDependencyError(
            f"identities over frames need SciPy: install it with `{install_extra('video')}`"
        ) from error
    # Pairs that are never the same must not keep others apart.
    possible = np.where(similarity >= LEAST, similarity, 0.0)
    rows, columns = linear_sum_assignment(possible, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if possible[row, column] > 0]
