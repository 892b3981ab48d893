"""Predictions on disk: what the comparator learns from, made once.

One compressed file per image, all of one size: image, truth, prediction, class probabilities (one byte each)
and re-synthesis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import DatasetError
from oodseg.core.files import atomic_path
from oodseg.core.progress import Progress, track
from oodseg.failures.detector import full_logits
from oodseg.failures.spade import SpadeGenerator
from oodseg.io.images import resize, to_tensor
from oodseg.segmenters import Segmentation
from oodseg.training.engine.resumption import goes_on
from oodseg.training.labelled import Labelled, fixed_view

U8 = NDArray[np.uint8]
# Float `[1, 3, H, W]` in 0..1 to the segmentation to be judged, of a network or of labels from elsewhere.
Segment = Callable[[torch.Tensor], Segmentation]


@dataclass(frozen=True)
class Predicted:
    """A prediction beside its image, all of the same size.

    Attributes:
        image: uint8 `[H, W, 3]`, RGB.
        truth: uint8 `[H, W]`; 255 is no class.
        labels: uint8 `[H, W]`: the prediction.
        probabilities: uint8 `[H, W, C]`, 255 for 1.
        resynthesis: uint8 `[H, W, 3]`, RGB.
    """

    image: U8
    truth: U8
    labels: U8
    probabilities: U8
    resynthesis: U8

    def mirrored(self) -> Predicted:
        """Exchanges left and right."""
        return Predicted(**{name: np.ascontiguousarray(each[:, ::-1]) for name, each in vars(self).items()})


def predict(
    labelled: Labelled, segment: Segment, generator: SpadeGenerator, size: tuple[int, int]
) -> Predicted:
    """Segments an image at its own size, re-synthesises it, and brings everything to one size."""
    image, truth = labelled.read()
    with torch.inference_mode():
        images = to_tensor(image)[None]
        with fast_autocast(images.device):
            segmentation = segment(images)
        logits = full_logits(segmentation, (truth.shape[0], truth.shape[1]))
        labels = logits.argmax(1)
        made = generator.resynthesize(labels)[0]
        shares = (logits.softmax(1)[0] * 255).round().byte().permute(1, 2, 0).contiguous()
    resynthesis = (made * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return Predicted(
        fixed_view(image, size),
        fixed_view(truth, size, nearest=True),
        fixed_view(labels[0].byte().numpy(), size, nearest=True),
        fixed_view(shares.numpy(), size),
        fixed_view(_like(resynthesis, truth.shape), size),
    )


def build_cache(
    folder: Path,
    items: Sequence[tuple[Labelled, Segment]],
    generator: SpadeGenerator,
    size: tuple[int, int],
    fingerprint: Any,
    progress: Progress | None = None,
) -> list[Path]:
    """Predicts images into a folder; what is there already stays, unless it was made otherwise.

    Args:
        folder: Where the files go.
        items: Every image with what predicts it.
        generator: Reconstructs images.
        size: Height and width of everything in a file.
        fingerprint: What the files depend on, JSON-able; another one than last time starts anew.
        progress: Told after every image.

    Returns:
        One file per image, in order.
    """
    if not goes_on(folder, [fingerprint, size]):
        for old in folder.glob("*.npz"):
            old.unlink()
    paths = [folder / f"{index:06d}.npz" for index in range(len(items))]
    missing = [(path, *item) for path, item in zip(paths, items, strict=True) if not path.is_file()]
    for path, labelled, segment in track(missing, f"predicting {folder.name}", progress):
        arrays = vars(predict(labelled, segment, generator, size))
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
    return paths


def read_cached(path: Path) -> Predicted:
    """Reads one file of `build_cache`.

    Raises:
        DatasetError: It is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            return Predicted(**{name: found[name] for name in found.files})
    except Exception as error:  # zipfile, zlib and numpy raise whatever meets their eye
        raise DatasetError(
            f"{path} cannot be read ({error}): delete it and run the same command again"
        ) from error


def _like(resynthesis: U8, size: tuple[int, ...]) -> U8:
    """The re-synthesis with the image's proportions, so that both are cropped alike."""
    return np.asarray(resize(resynthesis, size[0], size[1]), np.uint8)
