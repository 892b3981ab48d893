"""Street images in which nothing is unknown: what detectors are fitted on and operating points chosen by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.parts import Detector
from oodseg.core.working_size import WORKING_SIDE, working_size
from oodseg.data.training import street_images
from oodseg.io.images import resize, to_tensor
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts


class OrdinaryStreets:
    """Validation street images without unknown objects, read when asked, as often as one iterates over them.

    Args:
        data_root: Folder of the training data.

    Attributes:
        names: Of the images, in their order.

    Raises:
        DatasetError: A folder or a label is missing.
    """

    def __init__(self, data_root: Path) -> None:
        found = street_images(data_root, "val")
        self._images = [each for images in found.values() for each in images]
        self.names = [f"{each.source}_{each.image.stem}" for each in self._images]

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """uint8 `[H, W, 3]`, RGB."""
        return (each.read()[0] for each in self._images)


def known_images(data_root: Path, zoom: int = 1) -> Iterator[tuple[Tensor, int]]:
    """Yields the images of `OrdinaryStreets` at the size that a pipeline uses.

    Args:
        data_root: Folder of the training data.
        zoom: Factor over the working size at which the detector wants to see images.

    Yields:
        Float `[1, 3, zoom * H, zoom * W]` in 0..1 with the zoom, which is 1 where an image is too small.
    """
    for image in OrdinaryStreets(data_root):
        rows, columns = image.shape[:2]
        height, width = working_size(rows, columns, WORKING_SIDE)
        fits = zoom if zoom * max(height, width) <= max(rows, columns) else 1
        yield to_tensor(resize(image, fits * height, fits * width))[None], fits


def fit_to_streets(detector: Detector, data_root: Path) -> None:
    """Fits a detector to the images of `OrdinaryStreets`, in place, as `oodseg fit` would.

    Raises:
        DatasetError: Missing data.
        ScoreMapError: Scores that do not vary.
    """
    S2M(detector, ComponentPrompts(), BoxSegmenter(), device="cpu").fit(OrdinaryStreets(data_root))
