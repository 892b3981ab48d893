"""Real unknown objects of street images: things without a class that stand on the ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.core.taxonomy import DRIVABLE, IGNORE, LOOSE, NON_DRIVABLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROUND = (DRIVABLE, NON_DRIVABLE)
_FIRST = 128  # indices below are those of pasted objects
_SMALLEST, _LARGEST = 60, 0.05  # pixels, share of the scene: what is smaller is outlined too roughly
_REACH = 5  # pixels below a thing in which there has to be ground
_FOOT = 0.3  # share of a thing's width under which there has to be


def loose_things(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Numbers the loose things of a street that are to be found.

    Bins, bags and prams stand on the ground; awnings, loads of lorries and figures on walls do not, and
    whether these are part of the street is a matter of taste.

    Args:
        labels: uint8 `[H, W]`: street classes, 254 (`LOOSE`) on loose things, 255.

    Returns:
        uint8 `[H, W]`: 0, an index from 128 on of a thing that stands on the ground and is seen whole, or 255
        on all other loose things, which are not to be judged.
    """
    numbers = np.zeros(labels.shape, np.uint8)
    height, width = labels.shape
    count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == LOOSE).astype(np.uint8))
    ground = np.isin(labels, _GROUND)
    found = 0
    for index in range(1, count):
        part = parts == index
        left, top, wide, tall, area = (int(value) for value in stats[index])
        whole = left > 0 and top > 0 and left + wide < width and top + tall < height
        bottom = ground[top + tall : top + tall + _REACH, left : left + wide].any(0).mean() if whole else 0.0
        of_a_size = _SMALLEST <= area <= _LARGEST * labels.size
        if not (whole and of_a_size and bottom >= _FOOT and _FIRST + found < LOOSE):
            numbers[part] = IGNORE
        else:
            numbers[part] = _FIRST + found
            found += 1
    return numbers
