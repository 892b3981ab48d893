"""Street images with labels to train on, brought to the seven level-1 classes of IDD.

Folder (see the model card for terms)::

    camvid/{train,val,test}/{images,labels}      CamVid, Brostow et al., PRL 2009
    idd_lite/{train,val}/{images,labels}         IDD Lite, Varma et al., WACV 2019
    cityscapes_sample/{images,labels}            Cityscapes frames, Cordts et al., CVPR 2016
    cityscapes_640/{images,labels}               Cityscapes frames squeezed to 640x640, labels 640x320
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from oodseg.core.errors import DatasetError
from oodseg.core.fingerprint import stable_number
from oodseg.core.taxonomy import CODES, IGNORE, LOOSE, LOOSE_CODES
from oodseg.data.files import images, label_of
from oodseg.io.labels import read_label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Cities that are kept for validation.
_VALIDATION_CITIES = ("jena", "ulm")
_VALIDATION_EVERY = 20


@dataclass(frozen=True)
class StreetImage:
    """One labelled street image.

    Attributes:
        source: `"camvid"`, `"idd_lite"` or `"cityscapes_sample"`; `"camvid_classes"` leaves CamVid its own 11
            classes.
        image: Path of the JPEG.
        label: Path of the PNG with the set's own codes.
    """

    source: str
    image: Path
    label: Path

    def read(self, loose: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Reads image (uint8 `[H, W, 3]`, RGB) and labels (uint8 `[H, W]`, 0..6 or 255).

        Labels of `"camvid_classes"` are indices into `CAMVID_CLASSES`.

        Args:
            loose: Label things without a class that lie or stand about 254 (`LOOSE`), where the set tells
                them from all else without a class; they are 255 otherwise.

        Raises:
            DatasetError: A file cannot be read, the label is a colour image, or the two differ in size.
        """
        import cv2

        image, codes = cv2.imread(str(self.image), cv2.IMREAD_COLOR), read_label(self.label)
        if image is None:
            raise DatasetError(f"{self.image} cannot be read: download the set again")
        if self.source == "cityscapes_640":  # stored squeezed from twice as wide as high
            height = image.shape[0]
            image = cv2.resize(image, (2 * height, height), interpolation=cv2.INTER_LINEAR)
            codes = cv2.resize(codes, (2 * height, height), interpolation=cv2.INTER_NEAREST)
        if image.shape[:2] != codes.shape:
            raise DatasetError(
                f"{self.label} is not of the size of its image {self.image}: download both again"
            )
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), _table(self.source, loose)[codes]


@cache
def _table(source: str, loose: bool) -> NDArray[np.uint8]:
    import numpy as np

    table = np.full(1 << 16, IGNORE, np.uint8)  # one entry for every code of a label image
    for code, mapped in CODES[source].items():
        table[code] = mapped
    if loose:
        table[list(LOOSE_CODES.get(source, ()))] = LOOSE
    return table


def street_images(root: str | Path, split: str) -> dict[str, list[StreetImage]]:
    """Lists labelled street images by source.

    `"train"` is CamVid train, Cityscapes frames and 95 % of IDD-Lite train; `"val"` is CamVid val, the other
    5 % of IDD-Lite train and two cities of the squeezed Cityscapes frames. CamVid test and IDD-Lite val
    stay untouched, for measuring.

    Args:
        root: Folder of the training data.
        split: `"train"` or `"val"`.

    Raises:
        DatasetError: A folder or a label is missing.
    """
    if split not in {"train", "val"}:
        raise DatasetError(f"there is no split '{split}' of the street images: choose train or val")
    root = Path(root)
    found = {
        "camvid": labelled_pairs("camvid", root / "camvid" / split),
        "idd_lite": [
            each
            for each in labelled_pairs("idd_lite", root / "idd_lite" / "train")
            if _in_validation(each.image.stem) == (split == "val")
        ],
    }
    if split == "train":
        found["cityscapes_sample"] = labelled_pairs("cityscapes_sample", root / "cityscapes_sample")
    if (root / "cityscapes_640").is_dir():
        found["cityscapes_640"] = [
            each
            for each in labelled_pairs("cityscapes_640", root / "cityscapes_640")
            if each.image.stem.startswith(_VALIDATION_CITIES) == (split == "val")
        ]
    return {source: images for source, images in found.items() if images}


def _in_validation(stem: str) -> bool:
    # Frames of one drive share the number before "_": they go to one side together.
    drive = stem.partition("_")[0]
    return stable_number(drive) % _VALIDATION_EVERY == 0


def labelled_pairs(source: str, folder: Path) -> list[StreetImage]:
    """Lists the images of `folder/images` with their labels in `folder/labels`, by name.

    Args:
        source: See `StreetImage`.
        folder: Holds `images/` and `labels/`.

    Raises:
        DatasetError: A folder or a label is missing.
    """
    if not (folder / "images").is_dir() or not (folder / "labels").is_dir():
        raise DatasetError(f"{folder} must hold images/ and labels/: check the data folder")
    pairs = []
    for image in sorted(images(folder / "images").values()):
        label = label_of(folder / "labels" / f"{image.stem}.png")
        if not label.is_file():
            raise DatasetError(f"{image} has no label {label}: download the set again")
        pairs.append(StreetImage(source, image, label))
    return pairs
