"""Reads the labels of a set once, as far as there is room for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodseg.data import Frame

ROOM = 1 << 29  # bytes


class Labels:
    """The labels of frames, which every row of a table asks for twice.

    Args:
        frames: The frames.
        room: Bytes that may be kept; labels beyond are read anew.
    """

    def __init__(self, frames: Sequence[Frame], room: int = ROOM) -> None:
        self._frames, self._room = frames, room
        self._known: dict[int, NDArray[np.uint8]] = {}

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """The label of a frame, as `Frame.label` gives it; not to be written to."""
        label = self._known.get(index)
        if label is None:
            label = self._frames[index].label
            if label.nbytes <= self._room:
                self._room -= label.nbytes
                self._known[index] = label
        return label
