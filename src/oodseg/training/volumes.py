"""Trains a failure detector for volumes: SynthCP around labels that were made elsewhere.

1. Predictions of every slice by a model that had not seen it: those that were cut along with the scans, else
   of segmenters trained here, one per fold (`fold_0/` ..., `segmenter/`).
2. `cache/`: the slices with these predictions, reconstructed by the generator.
3. `comparator/`: the comparator; its qualities are Dice.
4. `detector/`: the failure detector, calibrated on the validation scans and measured on the test scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.fingerprint import hash_part
from oodseg.core.progress import Progress, track
from oodseg.data.slices import LabelledSlice, labelled_slices, window_of
from oodseg.failures.detector import full_logits
from oodseg.failures.storage import save_failure_detector
from oodseg.failures.synthcp import SynthCP
from oodseg.io.images import to_tensor
from oodseg.metrics import FailureCurve, image_dice, image_failure_metrics
from oodseg.segmenters.given import GivenLabels
from oodseg.training.comparator import ComparatorRecipe, train_comparator
from oodseg.training.comparator_cache import Segment, build_cache
from oodseg.training.comparator_segmenter import train_segmenter
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import Trained, save_metrics
from oodseg.training.failure_calibration import calibrate

if TYPE_CHECKING:
    from torch import Tensor

    from oodseg.failures.spade import SpadeGenerator
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

    def read(self) -> tuple[U8, U8]:
        """Reads the image, uint8 `[H, W, 3]` and true classes uint8 `[H, W]`."""
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


def train(
    recipe: ComparatorRecipe | str | Path,
    data_root: Path,
    out: Path,
    generator: tuple[SpadeGenerator, Sequence[str]],
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains, calibrates and measures a failure detector for volumes.

    Args:
        recipe: The settings, or a recipe's name or file; `segmenter` and `folds` count where the slices hold
            no predictions.
        data_root: Folder that `oodseg train slices` wrote.
        out: Folder of the run; see the head of this module.
        generator: The generator and its classes.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoints.
        progress: Told after every step and slice.

    Returns:
        Its path is `out/detector`, for `oodseg volumes --detector`; under `"test"` its metrics hold what was
        measured on the test scans.

    Raises:
        ConfigError: A recipe or generator that cannot be used.
        DatasetError: Missing data.
    """
    settings = load_recipe(recipe, ComparatorRecipe)
    classes, found = labelled_slices(data_root)
    if not settings.uses_dice:
        raise ConfigError("the quality of a volume is its Dice: write `quality: dice` into the recipe")
    if tuple(generator[1]) != classes:
        raise ConfigError(
            f"the generator knows the classes {', '.join(generator[1])}, the slices have "
            f"{', '.join(classes)}: train it on these slices"
        )
    given = GivenLabels(classes, window_of(data_root))
    predictors = _predictors(settings, found, classes, out, resume, progress)
    every = -(-len(found["val"]) // settings.calibration_images)
    judged = {
        split: [PredictedSlice(*each) for each in zip(part, predictors[split], strict=True)]
        for split, part in found.items()
    }
    judged["val"] = judged["val"][::every]

    def segment_of(each: PredictedSlice) -> Segment:
        return lambda images: given.segmentation_of(
            each.labels(images[0]), (images.shape[2], images.shape[3])
        )

    networks = [generator[0], *{id(each): each for each in predictors["train"] if each is not None}.values()]
    mark = [[each.slice.image.name for each in judged["train"]], [hash_part(each) for each in networks]]
    paths = {
        split: build_cache(
            out / "cache" / split,
            [(each, segment_of(each)) for each in judged[split]],
            generator[0],
            settings.size,
            mark,
            progress,
        )
        for split in ("train", "val")
    }
    learned_on, folder = (paths["train"], ()), out / "comparator"
    comparator, validation = train_comparator(
        settings, len(classes), True, learned_on, paths["val"], folder, mark, resume, progress
    )
    detector = SynthCP(given, generator[0], comparator)
    calibrate(detector, judged["val"], True, progress, PredictedSlice.labels)
    measured = measure(detector, judged["test"], progress)
    save_failure_detector(detector, out / "detector", {"measured": measured})
    return Trained(out / "detector", save_metrics(out, settings, validation, test=measured))


def measure(
    detector: SynthCP, test: Sequence[PredictedSlice], progress: Progress | None = None
) -> dict[str, Any]:
    """Measures a detector on slices whose truth is known.

    Returns:
        Figures as `PixelFailureMetrics` and `ImageFailureMetrics` name them, the latter over slices, with
        Dice in the place of IoU; JSON-able.
    """
    curve = FailureCurve()
    estimated, true = [], []
    for each in track(test, "measuring", progress):
        image, truth = each.read()
        pixels = to_tensor(image)
        found = detector.assess(pixels, each.labels(pixels))
        curve.update(found.error, found.labels != truth)
        estimated.append(found.class_quality[1:])
        true.append(image_dice(found.labels, truth, len(detector.classes))[1:])
    slices_measured = image_failure_metrics(np.stack(estimated), np.stack(true))
    figures = {**asdict(curve.compute()), **asdict(slices_measured)}
    return {
        name: value if isinstance(value, int) else round(float(value), 4)
        for name, value in figures.items()
        if isinstance(value, int | float) and np.isfinite(value)
    }


def _predictors(
    recipe: ComparatorRecipe,
    found: dict[str, list[LabelledSlice]],
    classes: Sequence[str],
    out: Path,
    resume: bool,
    progress: Progress | None,
) -> dict[str, list[Segmenter | None]]:
    """Returns the predictor of every slice of every split."""
    if not all(found.values()):
        raise DatasetError("there are no slices to learn on: cut scans with `oodseg train slices`")
    train_slices = found["train"]
    if train_slices[0].prediction is not None:
        return {split: [None] * len(part) for split, part in found.items()}
    cases = sorted({each.case for each in train_slices})
    if not 2 <= recipe.folds <= len(cases):
        raise ConfigError(
            f"{len(cases)} scans cannot be parted into {recipe.folds} folds: take 2 folds or more, at most "
            "as many as scans; or cut the slices together with --predictions"
        )
    fold_of = {case: index % recipe.folds for index, case in enumerate(cases)}

    def learn(images: Sequence[LabelledSlice], name: str, seed: int) -> Segmenter:
        settings = recipe.segmenter.reseeded(recipe.seed + seed)
        return train_segmenter(settings, images, classes, out / name, resume, progress)

    folds = [
        learn([each for each in train_slices if fold_of[each.case] != fold], f"fold_{fold}", fold + 1)
        for fold in range(recipe.folds)
    ]
    whole = learn(train_slices, "segmenter", 0)
    return {
        "train": [folds[fold_of[each.case]] for each in train_slices],
        "val": [whole] * len(found["val"]),
        "test": [whole] * len(found["test"]),
    }
