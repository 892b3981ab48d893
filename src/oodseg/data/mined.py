"""Objects that people kept or rejected from a pipeline's results: unknown objects and hard negatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.files import is_hidden
from oodseg.core.fingerprint import stable_number
from oodseg.core.run_file import RUN_FILE
from oodseg.core.saving import COCO_FILE
from oodseg.data.plain_masks import objects_of_masks
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.picks import keep_picked, results_of
from oodseg.exchange.results import read_results
from oodseg.exchange.rows import has_rows
from oodseg.exchange.transfer import read
from oodseg.io.images import read_image

if TYPE_CHECKING:
    from oodseg.core.objects import OodObject

Choice = Literal["keep", "reject"]
_HELD_OUT_EVERY = 20


@dataclass(frozen=True)
class MinedThing:
    """An object of an image, to be cut out.

    Attributes:
        name: Of the image, with the object's place in it.
        path: Of the image.
        found: The object.
    """

    name: str
    path: Path
    found: OodObject

    @property
    def held_out(self) -> bool:
        """True for one image in twenty, whose objects only validation sees."""
        return stable_number(self.name.rpartition("#")[0]) % _HELD_OUT_EVERY == 0

    def read_image(self) -> NDArray[np.uint8]:
        """Reads the image: uint8 `[H, W, 3]`, RGB.

        Raises:
            DatasetError: It is gone, unreadable, or of another size than when the object was found.
        """
        try:
            image = read_image(self.path)
        except ImageError as error:
            raise DatasetError(f"an image of mined objects cannot be used: {error}") from error
        if list(image.shape[:2]) != list(self.found.rle["size"]):
            raise DatasetError(f"{self.path} has changed its size since its objects were found: mine again")
        return image

    def read_mask(self) -> NDArray[np.bool_]:
        """Decodes the object's pixels: bool `[H, W]`."""
        return self.found.mask


def read_mined(sources: Sequence[str | Path], choice: Choice) -> list[MinedThing]:
    """Reads objects that were mined.

    Args:
        sources: Each the file `picks.json` of the gallery of `oodseg mine`, whose results must be there;
            the results of `oodseg predict`; labels that `oodseg export-labels` or a tool wrote;
            or a folder with `images/` and, under the same names, `masks/` (PNG, white objects).
        choice: Of picks, what was kept or what was rejected; all objects of other sources.

    Raises:
        DatasetError: A source that is not one of these, or holds no object, or one whose image is gone.
    """
    found: list[MinedThing] = []
    for source in sources:
        things = list(_things(_labelled(Path(source), choice)))
        if not things:
            what = "was rejected" if choice == "reject" else "is outlined"
            raise DatasetError(f"{source} holds no object that {what}: leave it out")
        found += things
    return found


def split_mined(things: Sequence[MinedThing], split: str) -> list[MinedThing]:
    """Picks the part of the things for `"train"` or `"val"`: all objects of an image go to one side."""
    return [each for each in things if each.held_out == (split == "val")]


def _labelled(source: Path, choice: Choice) -> list[LabelledImage]:
    if source.is_file():
        return keep_picked(read_results(results_of(source)), source, choice)
    if not source.is_dir():
        raise DatasetError(f"{source} does not exist: check the path for typing errors")
    if (source / RUN_FILE).is_file() and ((source / COCO_FILE).is_file() or has_rows(source)):
        return read_results(source)
    names = {each.name for each in source.iterdir() if not is_hidden(each.name)}
    if {"images", "masks"} <= names and not names - {"images", "masks"}:
        return objects_of_masks(source)
    return read(source)


def _things(images: Sequence[LabelledImage]) -> Iterator[MinedThing]:
    for image in images:
        for number, found in enumerate(image.objects, start=1):
            if image.path is None:
                raise DatasetError(
                    f"the image {image.name} of mined objects is gone: put it back, or into images/ beside "
                    "the labels"
                )
            yield MinedThing(f"{image.name}#{number}", image.path, found)
