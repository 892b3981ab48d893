"""A sequence with its truth: a folder of frames, and one of labels in which objects keep their identity.

    ROOT/images/0001.png ...    the frames, in natural order
    ROOT/labels/0001.png ...    of some or all of them: 0 nothing unknown, 255 ignored, else an object

A code stands for one object over the whole sequence (8 or 16 bits). Labels that know one code only, as those
of benchmarks do, say no identities: there, connected regions that overlap from label to label are one object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.data.files import by_name, images
from oodseg.data.frames import IGNORE
from oodseg.io.labels import read_label

_IMAGES, _LABELS = ("images", "original", "frames"), ("labels", "labels_masks", "masks")


@dataclass(frozen=True)
class LabelledSequence:
    """A sequence on disk.

    Attributes:
        root: Its folder.
        images: All frames in their order.
        labels: Label images by the name of their frame, without suffix.
    """

    root: Path
    images: tuple[Path, ...]
    labels: dict[str, Path]

    def identities(self) -> Iterator[tuple[str, NDArray[np.uint16]]]:
        """Reads the labels in the order of the frames.

        Yields:
            The name of a frame without suffix, and uint16 `[H, W]`: 0 nothing unknown, 255 ignored, else the
            identity of an object.

        Raises:
            DatasetError: A label cannot be read.
        """
        named = [(path.stem, self.labels[path.stem]) for path in self.images if path.stem in self.labels]
        codes: set[int] = set()
        for _, path in named:
            codes |= set(np.unique(read_label(path)).tolist())
        link = _Linker() if len(codes - {0, IGNORE}) == 1 else None
        for name, path in named:
            label = read_label(path)
            yield name, label if link is None else link(label)


def open_sequence(root: str | os.PathLike[str]) -> LabelledSequence:
    """Opens a folder of frames with labels.

    Raises:
        DatasetError: No such folder, no frames, no labels, or a label without a frame.
    """
    root = Path(root)
    frames = next((found for name in _IMAGES if (found := images(root / name))), {})
    if not frames:
        raise DatasetError(f"{root} holds no frames: put them into {root / 'images'}")
    folders = (by_name(root / name) for name in _LABELS)
    listed = ({path.stem: path for path in folder if path.suffix.lower() == ".png"} for folder in folders)
    labels = next((found for found in listed if found), {})
    if not labels:
        raise DatasetError(f"{root} holds no labels: put one PNG per frame into {root / 'labels'}")
    stray = next((path for stem, path in labels.items() if stem not in frames), None)
    if stray is not None:
        raise DatasetError(f"the label {stray} has no frame of that name: rename or remove it")
    return LabelledSequence(root, tuple(frames.values()), labels)


class _Linker:
    """Gives connected regions identities: of the region in the label before that they share most with."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint16] | None = None
        self._known = 0

    def __call__(self, label: NDArray[np.uint16]) -> NDArray[np.uint16]:
        unknown = (label != 0) & (label != IGNORE)
        count, regions = cv2.connectedComponents(unknown.astype(np.uint8), connectivity=8)
        names = np.zeros(count, np.uint16)
        for region in range(1, count):
            names[region] = self._name(regions == region)
        linked: NDArray[np.uint16] = names[regions]
        self._before = linked
        return np.where(label == IGNORE, np.uint16(IGNORE), linked)

    def _name(self, region: NDArray[np.bool_]) -> int:
        shared = np.zeros(1, np.int64)
        if self._before is not None and self._before.shape == region.shape:
            shared = np.bincount(self._before[region])
            shared[0] = 0
        if shared.any():
            return int(shared.argmax())
        self._known += 1
        if self._known == IGNORE:
            self._known += 1
        return self._known
