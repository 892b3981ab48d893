"""Labelled images with unknown objects pasted in, where every prediction is wrong.

A segmenter's mistakes on ordinary images are confusions of what it knows; a comparator that saw no other
kind would not know what an unknown object looks like beside its re-synthesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oodseg.data.duts import DutsIndex, DutsItem
from oodseg.synth.paste import cut_out, paste, rescale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.training.labelled import Labelled

UNKNOWN = 254
"""Label of what is no class and yet counts: no prediction equals it."""


def unknown_objects(data_root: Path) -> list[DutsItem]:
    """Objects of no street class that training may see.

    Raises:
        DatasetError: `duts_tr/` is missing in the data folder.
    """
    return DutsIndex(data_root / "duts_tr", "train", nonstreet_only=True).items


@dataclass(frozen=True)
class Exposed:
    """A labelled image with one to three unknown objects, the same ones every time.

    Attributes:
        image: The image as it was.
        things: What may be pasted.
        seed: All that the choice depends on.
    """

    image: Labelled
    things: Sequence[DutsItem]
    seed: tuple[int, ...]

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Reads the image, uint8 `[H, W, 3]`, RGB, and labels uint8 `[H, W]`, `UNKNOWN` on the objects."""
        image, labels = (each.copy() for each in self.image.read())
        rng = np.random.default_rng(self.seed)
        height, width = labels.shape
        for _ in range(int(rng.integers(1, 4))):
            item = self.things[int(rng.integers(len(self.things)))]
            thing = cut_out(item.read_image(), item.read_mask())
            if thing is None:
                continue
            side = height * float(np.exp(rng.uniform(np.log(0.06), np.log(0.6))))
            thing = rescale(thing, max(8.0, side), rng)
            tall, wide = thing.alpha.shape
            foot = int(height * rng.uniform(0.4, 1.05))
            left = int(rng.integers(-wide // 3, max(1, width - wide // 2)))
            shadow = float(rng.uniform(0.15, 0.6)) if rng.random() < 0.45 else 0.0
            labels[paste(image, thing, left, foot - tall, rng, 1.0, shadow)] = UNKNOWN
        return image, labels
