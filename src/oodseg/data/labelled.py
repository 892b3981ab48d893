"""A folder of images with class labels: `images/` and `labels/`, paired by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.core.taxonomy import IGNORE
from oodseg.data.files import images_below
from oodseg.io.images import read_image
from oodseg.io.labels import read_label


@dataclass(frozen=True)
class LabelledImage:
    """One image and the class of each of its pixels.

    Attributes:
        name: What it is called, without suffix.
        image: Path of the image.
        label: Path of the label: class indices, 255 where there is no truth.
    """

    name: str
    image: Path
    label: Path

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Reads image (uint8 `[H, W, 3]`, RGB) and labels (uint8 `[H, W]`).

        Raises:
            ImageError: The image cannot be read.
            DatasetError: The label cannot, or is of another size.
        """
        pixels, codes = read_image(self.image), read_label(self.label)
        if pixels.shape[:2] != codes.shape:
            raise DatasetError(
                f"the label {self.label} is {codes.shape[1]}x{codes.shape[0]}, its image "
                f"{pixels.shape[1]}x{pixels.shape[0]}: both must be of one size"
            )
        return pixels, np.where(codes > IGNORE, IGNORE, codes).astype(np.uint8)


def labelled_images(folder: Path) -> list[LabelledImage]:
    """Lists the images of `folder/images` and below, with their labels in `folder/labels`, in natural order.

    Raises:
        DatasetError: There are none, or an image has no label.
    """
    found, labels = images_below(folder / "images"), images_below(folder / "labels")
    if not found:
        raise DatasetError(
            f"{folder} must hold images/ and labels/, the files paired by name: check the folder"
        )
    for name, path in found.items():
        if name not in labels:
            raise DatasetError(
                f"the image {path} has no label of that name in {folder / 'labels'}: add it, or remove "
                "the image"
            )
    return [LabelledImage(name, path, labels[name]) for name, path in found.items()]
