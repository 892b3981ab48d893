"""SegmentMeIfYouCan (Chan et al., NeurIPS D&B 2021): a map per image for the server of the benchmark.

    STEM.hdf5    `value`, float16 [H, W]: the anomaly score of every pixel, here the confidence

The benchmark's own toolkit reads the folder as `outputs/anomaly_p/METHOD/DATASET`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError
from oodseg.core.files import atomic_path
from oodseg.core.installing import install_extra
from oodseg.core.objects import OodObject
from oodseg.core.prediction import Prediction
from oodseg.exchange.format import Format, reading, visible
from oodseg.exchange.labels import LabelledImage

_KEY, _SUFFIX = "value", ".hdf5"


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes the confidence map of every image; objects that touch are one in it.

    Raises:
        MissingDependencyError: h5py is not installed.
    """
    h5py = _library()
    out.mkdir(parents=True, exist_ok=True)
    for image in images:
        found = Prediction(image.path, image.height, image.width, image.objects)
        with atomic_path(out / f"{image.stem}{_SUFFIX}") as temporary, h5py.File(temporary, "w") as file:
            file.create_dataset(_KEY, data=found.confidence.astype(np.float16), compression=9)
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads the maps; every connected region of one confidence is an object.

    Raises:
        DatasetError: A file is damaged.
        MissingDependencyError: h5py is not installed.
    """
    h5py = _library()
    found = []
    for path in sorted(_files(root)):
        with reading(path, "map for SegmentMeIfYouCan"), h5py.File(path, "r") as file:
            confidence = np.asarray(file[_KEY], np.float32)
            height, width = confidence.shape
            name = path.relative_to(root).with_suffix("").as_posix()
            found.append(LabelledImage(name, height, width, tuple(_regions(confidence))))
    return found


def _files(root: Path) -> Iterator[Path]:
    return visible(root.rglob(f"*{_SUFFIX}"))


def matches(root: Path) -> bool:
    """Tells whether there are such maps."""
    return next(visible(root.rglob(f"*{_SUFFIX}")), None) is not None


def _regions(confidence: NDArray[np.float32]) -> list[OodObject]:
    found = []
    for value in np.unique(confidence[confidence > 0])[::-1]:
        count, labels = cv2.connectedComponents((confidence == value).astype(np.uint8), connectivity=8)
        found += [OodObject.from_mask(labels == number, float(value)) for number in range(1, count)]
    return found


def _library() -> ModuleType:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"maps for SegmentMeIfYouCan need h5py: install it with `{install_extra('hdf5')}`"
        ) from error
    library: ModuleType = h5py
    return library


FORMAT = Format(
    "SegmentMeIfYouCan", "STEM.hdf5", write, read, matches, place=None, submission=True, files=_files
)
