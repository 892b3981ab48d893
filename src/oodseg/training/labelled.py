"""Labelled images that segmenter, generator and comparator of synthesize-then-compare learn on.

A label set is a line in `LABEL_SETS`: a function from the data folder to images and class names. Everything
above it works with any set, slices of a volume included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.core.registry import resolve
from oodseg.core.taxonomy import CAMVID_CLASSES, CLASSES, IGNORE
from oodseg.data.slices import labelled_slices
from oodseg.data.training import labelled_pairs, street_images

if TYPE_CHECKING:
    from torch import Tensor

    Sample = tuple[Tensor, Tensor]

U8 = NDArray[np.uint8]


class Labelled(Protocol):
    """An image and its labels, read when asked."""

    def read(self) -> tuple[U8, U8]:
        """Reads the image, uint8 `[H, W, 3]`, RGB, and labels uint8 `[H, W]`, 0..C-1 or 255."""
        ...


@dataclass(frozen=True)
class LabelSet:
    """Images and classes.

    Attributes:
        classes: Names of the C classes.
        train: To learn on; neighbours in the list are neighbours in time or space.
        val: To choose and calibrate on.
        test: To measure on, never looked at in training.
    """

    classes: tuple[str, ...]
    train: Sequence[Labelled]
    val: Sequence[Labelled]
    test: Sequence[Labelled]


@dataclass(frozen=True)
class _Relabelled:
    """An image with its labels looked up in a table."""

    image: Labelled
    table: tuple[int, ...]

    def read(self) -> tuple[U8, U8]:
        image, labels = self.image.read()
        return image, np.asarray(cv2.LUT(labels, np.array(self.table, np.uint8)), np.uint8)


def street(root: Path) -> LabelSet:
    """Returns CamVid and IDD-Lite in the seven level-1 classes, and CamVid's test images to measure on."""
    train, val = (
        [each for source in ("camvid", "idd_lite") for each in images.get(source, [])]
        for images in (street_images(root, "train"), street_images(root, "val"))
    )
    return LabelSet(CLASSES, train, val, labelled_pairs("camvid", root / "camvid" / "test"))


def camvid(root: Path) -> LabelSet:
    """Returns CamVid with its own eleven classes, in its own splits."""
    parts = [labelled_pairs("camvid_classes", root / "camvid" / split) for split in ("train", "val", "test")]
    return LabelSet(CAMVID_CLASSES, *parts)


def slices(root: Path) -> LabelSet:
    """Returns the slices of a folder that `oodseg train slices` wrote, as a label set.

    Raises:
        DatasetError: It is no such folder, or is not finished.
    """
    classes, found = labelled_slices(root)
    return LabelSet(classes, **found)


LABEL_SETS: dict[str, str] = {
    "street": "oodseg.training.labelled:street",
    "camvid": "oodseg.training.labelled:camvid",
    "slices": "oodseg.training.labelled:slices",
}


def load_label_set(name: str, root: Path, held_out: Sequence[str] = ()) -> LabelSet:
    """Lists the images of a label set.

    Args:
        name: Key in `LABEL_SETS`.
        root: Folder of the training data.
        held_out: Classes to leave out: their pixels become 255, and the others move up.

    Raises:
        ConfigError: No such set, or no such class in it.
        DatasetError: A folder or a label is missing, or there is no image.
    """
    maker: Callable[[Path], LabelSet] = resolve(LABEL_SETS, "label_sets", name)
    found = maker(Path(root))
    wrong = [each for each in held_out if each not in found.classes]
    if wrong:
        raise ConfigError(f"'{wrong[0]}' is not a class of {name}; it has: {', '.join(found.classes)}")
    if not held_out:
        return found
    kept = [each for each in found.classes if each not in held_out]
    table = [kept.index(each) if each in kept else IGNORE for each in found.classes]
    codes = (*table, *[IGNORE] * (256 - len(table)))
    parts = [[_Relabelled(each, codes) for each in part] for part in (found.train, found.val, found.test)]
    return replace(found, classes=tuple(kept), train=parts[0], val=parts[1], test=parts[2])


def random_view(
    image: U8, labels: U8, size: tuple[int, int], rng: np.random.Generator, zoom: tuple[float, float]
) -> tuple[U8, U8]:
    """Resizes, crops and mirrors an image and its labels at random.

    Args:
        image: uint8 `[H, W, 3]`.
        labels: uint8 `[H, W]`.
        size: Height and width of the result.
        rng: Random generator.
        zoom: Least and most times that the smallest image which holds the crop is enlarged; below 1 the
            crop is filled up with pixels of no class.
    """
    height, width = labels.shape
    fit = max(size[0] / height, size[1] / width)
    scale = fit * float(np.exp(rng.uniform(np.log(zoom[0]), np.log(zoom[1]))))
    target = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = np.asarray(cv2.resize(image, target, interpolation=how), np.uint8)
    labels = np.asarray(cv2.resize(labels, target, interpolation=cv2.INTER_NEAREST), np.uint8)
    below, beside = max(0, size[0] - target[1]), max(0, size[1] - target[0])
    if below or beside:
        image = np.pad(image, ((0, below), (0, beside), (0, 0)), mode="edge")
        labels = np.pad(labels, ((0, below), (0, beside)), constant_values=IGNORE)
    top = int(rng.integers(0, labels.shape[0] - size[0] + 1))
    left = int(rng.integers(0, labels.shape[1] - size[1] + 1))
    window = np.s_[top : top + size[0], left : left + size[1]]
    image, labels = image[window], labels[window]
    if rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def random_light(image: U8, rng: np.random.Generator, strength: float) -> U8:
    """Changes brightness, contrast and colour balance at random.

    Args:
        image: uint8 `[H, W, 3]`.
        rng: Random generator.
        strength: How far, 0 not at all, 0.3 much.
    """
    gain = 1 + rng.uniform(-strength, strength) + rng.uniform(-strength / 3, strength / 3, 3)
    shift = 255 * rng.uniform(-strength, strength) / 2
    changed = (image.astype(np.float32) - 128) * gain + 128 + shift
    return np.asarray(changed.clip(0, 255), np.uint8)


def fixed_view(values: U8, size: tuple[int, int], nearest: bool = False) -> U8:
    """Returns the middle of a map, as much as the proportions allow, at a size: for validation.

    Args:
        values: uint8 `[H, W]` or `[H, W, C]`.
        size: Height and width of the result.
        nearest: Take the nearest pixel, as label maps need it, instead of the mean.
    """
    height, width = values.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    rows, columns = min(height, round(size[0] / scale)), min(width, round(size[1] / scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    window = values[top : top + rows, left : left + columns]
    shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    how = cv2.INTER_NEAREST if nearest else shrinks
    # OpenCV's area average takes at most four channels at once.
    groups = [window] if window.ndim == 2 else np.array_split(window, -(-window.shape[2] // 4), axis=2)
    resized = [cv2.resize(np.ascontiguousarray(each), size[::-1], interpolation=how) for each in groups]
    return np.asarray(resized[0] if window.ndim == 2 else np.dstack(resized), np.uint8)


class ViewMaker:
    """Makes numbered training samples: random views of labelled images.

    Args:
        images: Labelled images; each is equally likely.
        recipe: Has `size`, `zoom` and `light`.
        seed: With the number, all that a sample depends on.
    """

    def __init__(self, images: Sequence[Labelled], recipe: Any, seed: int) -> None:
        self.images, self.recipe, self.seed = images, recipe, seed

    def __call__(self, index: int) -> Sample:
        """Image uint8 `[3, H, W]` and labels uint8 `[H, W]`."""
        rng = np.random.default_rng((self.seed, index))
        image, labels = self.images[int(rng.integers(len(self.images)))].read()
        image, labels = random_view(image, labels, self.recipe.size, rng, self.recipe.zoom)
        return as_tensors(random_light(image, rng, self.recipe.light), labels)


def as_tensors(image: U8, labels: U8) -> Sample:
    """Returns the image `[H, W, 3]` and labels `[H, W]` as uint8 tensors `[3, H, W]` and `[H, W]`."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), torch.from_numpy(labels)
