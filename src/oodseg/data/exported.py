"""Labels as a tool exported them, in one of the formats of `oodseg.exchange`: masks corrected by people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.core.input_warnings import name_few, warn_input
from oodseg.data.files import images_below
from oodseg.data.frames import ANOMALY, BINARY, IGNORE, BenchmarkSet, Frame
from oodseg.exchange.format import Format
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.transfer import formats_in, the_one

KEY, SPLIT = "exported", "unknown"


def matches(root: Path) -> bool:
    """Tells whether a folder holds labels of any such format."""
    return bool(_formats(root))


def read(root: Path, split: str) -> BenchmarkSet:
    """Lists the images; everything outlined is anomalous, but for what is labelled `ignore`.

    An `InputWarning` names images beside them that have no labels.

    Raises:
        DatasetError: The labels are damaged, of no image, or of several formats.
    """
    found = the_one(_formats(root), root)
    images = natsorted(found.read(root), key=lambda image: image.name)
    if not images:
        raise DatasetError(
            f"{root} holds labels of {found.title}, but of no image: export it from the tool again"
        )
    known = {image.path.resolve() for image in images if image.path is not None}
    others = [path for path in images_below(root / "images").values() if path.resolve() not in known]
    if others:
        listed = name_few([path.name for path in others])
        warn_input(
            f"{root}: images without labels of {found.title} are left out, {len(others)} of them ({listed}): "
            "label them, be it as empty"
        )
    frames = tuple(
        Frame(image.stem, image.path, root, BINARY, draw=lambda image=image: draw(image))  # type: ignore[misc]
        for image in images
    )
    licence = "as the data's publishers state"
    return BenchmarkSet(
        KEY, f"{root.resolve().name} ({found.title})", split, root, frames, licence, "anomaly"
    )


def draw(image: LabelledImage) -> NDArray[np.uint16]:
    """Draws the label of an image: 0, 1 on every object, 255 on what does not count, uint16 `[H, W]`."""
    label = np.full((image.height, image.width), 0, np.uint16)
    for each in image.ignored:
        label[each.mask] = IGNORE
    for each in image.objects:
        label[each.mask] = ANOMALY
    return label


def _formats(root: Path) -> list[Format]:
    return [found for found in formats_in(root) if not found.submission]
