"""DUTS-TR objects: salient things cut out of natural images, named by their WordNet id.

Layout of the folder (Wang et al., CVPR 2017, the part whose file names begin with a WordNet id)::

    images/n01443537_13733.jpg   masks/n01443537_13733.png   nonstreet.tsv
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.fingerprint import stable_number
from oodseg.core.texts import read_text
from oodseg.data.files import by_name
from oodseg.io.masks import half_as_bright, read_brightness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HELD_OUT_EVERY = 20


def is_held_out(wnid: str) -> bool:
    """Tells whether objects of this WordNet id are held out of all training (about 5 % of the ids).

    Whole ids are held out, so what is measured on them is measured on kinds of object never seen.

    Args:
        wnid: WordNet id, such as `"n01443537"`.
    """
    return stable_number(wnid) % _HELD_OUT_EVERY == 0


@dataclass(frozen=True)
class DutsItem:
    """One image with the mask of its salient object or objects.

    Attributes:
        stem: File name without its ending, such as `"n01443537_13733"`.
        wnid: WordNet id, the part of the stem before `_`.
        nonstreet: Listed in `nonstreet.tsv` with a name: no street class, by that name.
        image: Path of the JPEG.
        mask: Path of the PNG (object white, or 1).
    """

    stem: str
    wnid: str
    nonstreet: bool
    image: Path
    mask: Path

    @property
    def held_out(self) -> bool:
        """True if the object is held out of training (see `is_held_out`)."""
        return is_held_out(self.wnid)

    def read_image(self) -> NDArray[np.uint8]:
        """Reads the image: uint8 `[H, W, 3]`, RGB.

        Raises:
            DatasetError: The file cannot be read as an image.
        """
        import cv2

        image = cv2.imread(str(self.image), cv2.IMREAD_COLOR)
        if image is None:
            raise DatasetError(f"{self.image} cannot be read as an image: download DUTS-TR again")
        rgb: NDArray[np.uint8] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return rgb

    def read_mask(self) -> NDArray[np.bool_]:
        """Reads the mask: bool `[H, W]`, true on the object.

        Raises:
            DatasetError: The file cannot be read as a mask.
        """
        try:
            return half_as_bright(read_brightness(self.mask))
        except ImageError as error:
            raise DatasetError(f"{self.mask} cannot be read as a mask: download DUTS-TR again") from error


class DutsIndex:
    """Lists the objects of a DUTS-TR folder, sorted by name; reads no image.

    Args:
        root: The folder with `images/`, `masks/` and `nonstreet.tsv`.
        split: `"train"` (ids that are not held out), `"held_out"`, or `"all"`.
        nonstreet_only: Keep only items that are no street class by name.

    Raises:
        DatasetError: Folder or file missing, an image without mask, or nothing left.
    """

    def __init__(self, root: str | Path, split: str = "all", nonstreet_only: bool = False) -> None:
        self.root = Path(root)
        if split not in {"all", "train", "held_out"}:
            raise DatasetError(f"DUTS has no split '{split}': choose all, train or held_out")
        for part in ("images", "masks"):
            if not (self.root / part).is_dir():
                raise DatasetError(f"{self.root} is not a DUTS folder: it has no {part}/; check the path")
        nonstreet = _read_nonstreet(self.root / "nonstreet.tsv")
        masks = {path.stem: path for path in by_name(self.root / "masks") if path.suffix.lower() == ".png"}
        self.items: list[DutsItem] = []
        for image in sorted(by_name(self.root / "images")):
            if image.suffix.lower() != ".jpg":
                continue
            wnid = image.stem.partition("_")[0]
            if split != "all" and is_held_out(wnid) != (split == "held_out"):
                continue
            if nonstreet_only and image.stem not in nonstreet:
                continue
            mask = masks.get(image.stem)
            if mask is None:
                raise DatasetError(f"{image} has no mask masks/{image.stem}.png: download DUTS-TR again")
            self.items.append(DutsItem(image.stem, wnid, image.stem in nonstreet, image, mask))
        if not self.items:
            raise DatasetError(f"{self.root} holds no DUTS object for split '{split}': check the folder")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> DutsItem:
        return self.items[index]

    def __iter__(self) -> Iterator[DutsItem]:
        return iter(self.items)


def _read_nonstreet(path: Path) -> frozenset[str]:
    """Stems that a person or a name list found to be no street class; rows named `?` are unchecked."""
    if not path.is_file():
        raise DatasetError(f"{path} is missing: it lists the DUTS objects that are no street class")
    stems: set[str] = set()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) < 3:
            raise DatasetError(f"{path}, line {number}: expected stem, WordNet id and name between tabs")
        if fields[2] != "?":
            stems.add(fields[0])
    return frozenset(stems)
