"""Predicts where an object will be, from where it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RECENT = 5
"""Boxes that tell the velocity: fewer are noise, more lag behind a turn."""
_MOST_GROWTH = 2.0  # of a side, while nothing is seen of the object


def predict_box(
    times: Sequence[float], boxes: Sequence[NDArray[np.float64]], time: float
) -> NDArray[np.float64]:
    """Moves an object's last box on at its mean velocity and growth over the last few.

    The velocity is that of the centre; the sides grow at a constant rate, so that they never turn negative.

    Args:
        times: When the object was seen, seconds, rising, at least one.
        boxes: Where, `[4]` each, xyxy in pixels.
        time: When the box is wanted, seconds.

    Returns:
        Float64 `[4]`, xyxy.
    """
    last = boxes[-1]
    first = max(0, len(boxes) - RECENT)
    if first == len(boxes) - 1:
        return last
    steps = (time - times[-1]) / (times[-1] - times[first])
    centres, sides = _centre(boxes[-1]), last[2:] - last[:2]
    centre = centres + steps * (centres - _centre(boxes[first]))
    growth = np.log(sides / (boxes[first][2:] - boxes[first][:2])) * steps
    half = sides * np.exp(growth.clip(-np.log(_MOST_GROWTH), np.log(_MOST_GROWTH))) / 2
    return np.concatenate([centre - half, centre + half])


def _centre(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((box[:2] + box[2:]) / 2)
