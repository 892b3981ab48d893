"""Street images in which nothing is unknown, as a pipeline shows them to its detector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from oodseg.core.stages import WORKING_SIDE, working_size
from oodseg.data.training import street_images
from oodseg.io.images import resize, to_tensor


def known_images(data_root: Path, zoom: int = 1) -> Iterator[tuple[Tensor, int]]:
    """Yields validation street images at the size that a pipeline uses, without unknown objects.

    Args:
        data_root: Folder of the training data.
        zoom: Factor over the working size at which the detector wants to see images.

    Yields:
        Float `[1, 3, zoom * H, zoom * W]` in 0..1 with the zoom, which is 1 where an image is too small.
    """
    for images in street_images(data_root, "val").values():
        for each in images:
            image = each.read()[0]
            rows, columns = image.shape[:2]
            height, width = working_size(rows, columns, WORKING_SIDE)
            fits = zoom if zoom * max(height, width) <= max(rows, columns) else 1
            yield to_tensor(resize(image, fits * height, fits * width))[None], fits
