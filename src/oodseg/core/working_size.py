"""The size at which a pipeline works on an image."""

from __future__ import annotations

# Minimum and maximum pixels of the long side at which detector and prompts work.
WORKING_SIDE = (640, 1024)


def working_size(height: int, width: int, side: tuple[int, int]) -> tuple[int, int]:
    """Computes the size at which detector and prompts work on an image: half of it, within bounds.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        side: Minimum and maximum pixels of the long side; an image is never enlarged.
    """
    long_side = max(height, width)
    target = min(max(long_side / 2, side[0]), side[1], long_side)
    scale = target / long_side
    return max(16, round(height * scale)), max(16, round(width * scale))
