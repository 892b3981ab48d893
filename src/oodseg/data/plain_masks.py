"""A folder with `images/` and `masks/`: every connected white region of a mask is an object."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.input_warnings import name_few, warn_input
from oodseg.core.objects import OodObject
from oodseg.data.files import images_below
from oodseg.exchange.labels import LabelledImage
from oodseg.io.masks import half_as_bright, read_brightness

_LEAST = 16  # pixels: less is what a brush left


def objects_of_masks(root: Path) -> list[LabelledImage]:
    """Reads the objects of all images that have a mask; an `InputWarning` names the others.

    Args:
        root: Holds `images/` and `masks/`, of the same names.

    Raises:
        DatasetError: No image has a mask, or a mask cannot be read.
    """
    import cv2

    found, without = [], []
    masks = images_below(root / "masks")
    for name, path in images_below(root / "images").items():
        file = masks.get(name)
        if file is None:
            without.append(path.name)
            continue
        try:
            mask = half_as_bright(read_brightness(file))
        except ImageError as error:
            raise DatasetError(f"{file} cannot be read as a mask ({error}): export it again") from error
        count, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        objects = [
            OodObject.from_mask(parts == part)
            for part in range(1, count)
            if statistics[part, cv2.CC_STAT_AREA] >= _LEAST
        ]
        height, width = mask.shape
        inside = path.relative_to(root / "images").as_posix()
        found.append(LabelledImage(inside, height, width, tuple(objects), path=path))
    if not found:
        raise DatasetError(f"no image in {root / 'images'} has a mask in {root / 'masks'}: check the names")
    if without:
        named = name_few(without)
        warn_input(
            f"images in {root / 'images'} without a mask are left out, {len(without)} of them ({named})"
        )
    return found
