"""Labels of slices that a failure detector for volumes learns to judge, cross-fitted over scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.progress import Progress
from oodseg.data.slices import LabelledSlice
from oodseg.failures.detector import full_logits
from oodseg.segmenters.tiled import TiledSegmenter
from oodseg.training.comparator import ComparatorRecipe
from oodseg.training.comparator_segmenter import train_segmenter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from oodseg.segmenters import Segmenter

    U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class PredictedSlice:
    """A slice and the labels on it that are judged.

    Attributes:
        slice: The slice.
        predictor: Predicts the slice where no prediction came with it.
    """

    slice: LabelledSlice
    predictor: Segmenter | None

    @property
    def case(self) -> str:
        """The scan that it was cut from."""
        return self.slice.case

    def read(self) -> tuple[U8, U8]:
        """Reads the image, uint8 `[H, W, 3]`, and true classes uint8 `[H, W]`."""
        return self.slice.read()

    def labels(self, image: Tensor) -> Tensor:
        """Returns the prediction, integers `[H, W]`.

        Args:
            image: The slice's image, float `[3, H, W]` in 0..1.

        Raises:
            DatasetError: There is none, and nothing to predict with.
        """
        predicted = self.slice.read_prediction()
        if predicted is not None:
            return torch.from_numpy(predicted)
        if self.predictor is None:
            raise DatasetError(f"{self.slice.image} has no prediction: cut the slices with --predictions")
        with torch.inference_mode():
            found = self.predictor.segment(image[None])
        return full_logits(found, (image.shape[-2], image.shape[-1])).argmax(1)[0]


@dataclass(frozen=True)
class Predictors:
    """Segmenters of slices, none of which learned on the scans that it predicts.

    Attributes:
        splits: For every split, the predictor of every slice; None where predictions came along.
        hasty: The same of segmenters that were trained only briefly, for the splits to learn on.
        whole: The segmenter that learned on all scans to learn on; None where predictions came along.
    """

    splits: Mapping[str, Sequence[Segmenter | None]]
    hasty: Mapping[str, Sequence[Segmenter | None]]
    whole: Segmenter | None

    def judged(self, found: Mapping[str, Sequence[LabelledSlice]]) -> dict[str, list[PredictedSlice]]:
        """Pairs the slices of every split with their predictors, with the hasty ones behind the others."""
        return {
            split: [
                PredictedSlice(*each)
                for predictors in (self.splits[split], self.hasty.get(split, []))
                for each in zip(part, predictors, strict=False)
            ]
            for split, part in found.items()
        }


def train_predictors(
    recipe: ComparatorRecipe,
    found: Mapping[str, Sequence[LabelledSlice]],
    classes: Sequence[str],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> Predictors:
    """Trains the segmenters, unless the slices were cut together with predictions.

    Args:
        recipe: The settings: `segmenter`, `folds`, `enlarged` and `hasty_steps` count.
        found: The slices of every split.
        classes: Names of the classes.
        out: Folder of the run: `fold_0/` ..., `segmenter/`, `hasty_0/` ..., `hasty/`.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoints.
        progress: Told after every step.

    Raises:
        ConfigError: Folds into which the scans cannot be parted.
        DatasetError: A split without slices.
    """
    if not all(found.values()):
        raise DatasetError("there are no slices to learn on: cut scans with `oodseg train slices`")
    train_slices = found["train"]
    if train_slices[0].prediction is not None:
        return Predictors({split: [None] * len(part) for split, part in found.items()}, {}, None)
    cases = sorted({each.case for each in train_slices})
    if not 2 <= recipe.folds <= len(cases):
        raise ConfigError(
            f"{len(cases)} scans cannot be parted into {recipe.folds} folds: take 2 folds or more, at most "
            "as many as scans; or cut the slices together with --predictions"
        )
    fold_of = {case: index % recipe.folds for index, case in enumerate(cases)}

    def learn(images: Sequence[LabelledSlice], name: str, seed: int, steps: int) -> Segmenter:
        settings = recipe.segmenter.reseeded(recipe.seed + seed).model_copy(update={"max_steps": steps})
        network = train_segmenter(settings, images, classes, out / name, resume, progress)
        return network if recipe.enlarged == 1 else TiledSegmenter(network, scales=[recipe.enlarged])

    def learn_all(prefix: str, name: str, steps: int) -> tuple[list[Segmenter], Segmenter]:
        folds = [
            learn([each for each in train_slices if fold_of[each.case] != k], f"{prefix}_{k}", k + 1, steps)
            for k in range(recipe.folds)
        ]
        return folds, learn(train_slices, name, 0, steps)

    folds, whole = learn_all("fold", "segmenter", recipe.segmenter.max_steps)
    splits = {split: [whole] * len(part) for split, part in found.items()}
    splits["train"] = [folds[fold_of[each.case]] for each in train_slices]
    hasty: dict[str, list[Segmenter]] = {}
    if recipe.hasty_steps:
        quick, quick_whole = learn_all("hasty", "hasty", recipe.hasty_steps)
        hasty["train"] = [quick[fold_of[each.case]] for each in train_slices]
        hasty["val"] = [quick_whole] * len(found["val"])
    return Predictors(splits, hasty, whole)
