"""Finds the part of an image that a closer look at the ground has to cover."""

from __future__ import annotations

from torch import Tensor


def blocks_around(cells: Tensor, block: int, margin: int) -> tuple[slice, slice] | None:
    """Finds the smallest rectangle of whole blocks around marked cells and a margin.

    Args:
        cells: Bool `[h, w]`.
        block: Side of a block in cells; the rectangle ends with the map where that is no multiple.
        margin: Cells around the marked ones that belong to it too.

    Returns:
        Rows and columns; None if no cell is marked.
    """
    if not bool(cells.any()):
        return None
    rows, columns = (_span(cells.any(axis).nonzero()[:, 0], block, margin) for axis in (1, 0))
    return slice(rows[0], min(rows[1], cells.shape[0])), slice(columns[0], min(columns[1], cells.shape[1]))


def _span(marked: Tensor, block: int, margin: int) -> tuple[int, int]:
    low, high = max(int(marked[0]) - margin, 0), int(marked[-1]) + 1 + margin
    return low // block * block, -(-high // block) * block
