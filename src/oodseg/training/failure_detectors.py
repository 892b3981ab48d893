"""Trains failure detectors: SynthCP, what it needs and what it is measured against, in steps that resume.

1. `segmenter/`: the segmenter under test, on all training images.
2. `fold_0/` ...: segmenters that each leave out one part of the training images.
3. `cache/`: every training image as predicted by the segmenter that never saw it, and reconstructed; a second
   time with unknown objects pasted in, which are wrong whatever they are called.
4. `comparator/`, `direct/`: the comparator, and the same without the re-synthesis.
5. `tcp/`, `observer/`, `autoencoder/`, `vae_alarm/`: what the baselines learn (`failure_baselines`).
6. `detectors/`: all failure detectors, calibrated on the validation images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.fingerprint import hash_part
from oodseg.core.progress import Progress
from oodseg.failures.comparator import Comparator
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.storage import save_failure_detector
from oodseg.failures.synthcp import DirectPrediction, SynthCP
from oodseg.segmenters import Segmenter
from oodseg.training.comparator import ComparatorRecipe, train_comparator
from oodseg.training.comparator_cache import build_cache
from oodseg.training.comparator_segmenter import train_segmenter
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import Trained, save_metrics
from oodseg.training.exposed import Exposed, unknown_objects
from oodseg.training.failure_baselines import train_baselines
from oodseg.training.failure_calibration import anomaly_statistics, calibrate
from oodseg.training.labelled import Labelled, LabelSet, load_label_set


def train(
    recipe: ComparatorRecipe | str | Path,
    data_root: Path,
    out: Path,
    generator: tuple[SpadeGenerator, Sequence[str]] | None,
    segmenter: Segmenter | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains and calibrates all failure detectors.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run; see the head of this module.
        generator: The generator and its classes; None only where the recipe has no folds.
        segmenter: The segmenter under test; None to train one.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoints.
        progress: Told after every step and image.

    Returns:
        Its path is `out/detectors`: one folder per failure detector, for `load_failure_detector`.

    Raises:
        ConfigError: A recipe that cannot be used, or parts of other classes.
        DatasetError: Missing data.
    """
    settings = load_recipe(recipe, ComparatorRecipe)
    found = load_label_set(settings.labels, data_root, settings.held_out)
    if len(found.train) < max(2, settings.folds) or not found.val:
        raise DatasetError(
            f"{data_root} holds too few images of the label set {settings.labels} for {settings.folds} folds"
            ": take fewer (--set folds=N), or add images"
        )
    if settings.folds == 1:
        raise ConfigError("one fold leaves no image to learn on: take at least 2, or 0 for no comparator")
    if settings.folds and generator is None:
        raise ConfigError("the comparator needs a generator: name its run with --generator")
    _check_classes("segmenter", None if segmenter is None else segmenter.classes, found.classes)
    _check_classes("generator", None if generator is None else generator[1], found.classes)
    if segmenter is None:
        fold = settings.segmenter.reseeded(settings.seed)
        segmenter = train_segmenter(fold, found.train, found.classes, out / "segmenter", resume, progress)
    detectors = train_baselines(settings, found.train, segmenter, out, resume, progress)
    validation: dict[str, Any] = {}
    if settings.folds and generator is not None:
        made = _comparators(settings, found, data_root, out, generator[0], segmenter, resume, progress)
        direct, comparator = (network for network, _ in made)
        detectors += [DirectPrediction(segmenter, direct), SynthCP(segmenter, generator[0], comparator)]
        validation = {"direct": made[0][1], "comparator": made[1][1]}
    judged = calibration_images(settings, found)
    for detector in detectors:
        calibrate(detector, judged, settings.uses_dice, progress)
        notes = {}
        if isinstance(detector, SynthCP):
            notes["anomaly_statistics"] = anomaly_statistics(detector, judged, progress)
        save_failure_detector(detector, out / "detectors" / detector.name, notes)
    return Trained(out / "detectors", save_metrics(out, settings, validation))


def _check_classes(part: str, classes: Sequence[str] | None, wanted: Sequence[str]) -> None:
    if classes is not None and tuple(classes) != tuple(wanted):
        raise ConfigError(
            f"the {part} knows the classes {', '.join(classes)}, the images have {', '.join(wanted)}: "
            "train it on the same label set"
        )


def calibration_images(recipe: ComparatorRecipe, found: LabelSet) -> Sequence[Labelled]:
    """Picks the validation images that failure detectors are calibrated on, evenly spread."""
    return found.val[:: -(-len(found.val) // recipe.calibration_images)]


def _comparators(
    recipe: ComparatorRecipe,
    found: LabelSet,
    data_root: Path,
    out: Path,
    generator: SpadeGenerator,
    segmenter: Segmenter,
    resume: bool,
    progress: Progress | None,
) -> list[tuple[Comparator, dict[str, float]]]:
    """Folds, cache, and the two comparators with their figures: without and with re-synthesis."""
    # Whole stretches of neighbours: frames of one drive are too alike to be told apart by chance.
    parts = np.array_split(np.arange(len(found.train)), recipe.folds)
    items: list[tuple[Labelled, Segmenter]] = []
    for number, part in enumerate(parts):
        left_out = set(part.tolist())
        rest = [each for index, each in enumerate(found.train) if index not in left_out]
        settings = recipe.segmenter.reseeded(recipe.seed + number + 1)
        fold = train_segmenter(settings, rest, found.classes, out / f"fold_{number}", resume, progress)
        items += [(found.train[index], fold) for index in part]
    networks = [generator, segmenter, *{id(fold): fold for _, fold in items}.values()]
    mark = [[recipe.labels, recipe.held_out], [hash_part(each) for each in networks]]
    arguments = (generator, recipe.size, mark, progress)
    shown = [(each, fold.segment) for each, fold in items]
    train_paths = build_cache(out / "cache" / "train", shown, *arguments)
    exposed: list[Path] = []
    if recipe.exposure:
        things = unknown_objects(data_root)
        pasted = [
            (Exposed(each, things, (recipe.seed, index)), fold.segment)
            for index, (each, fold) in enumerate(items)
        ]
        exposed = build_cache(out / "cache" / "exposed", pasted, *arguments)
    judged = [(each, segmenter.segment) for each in calibration_images(recipe, found)]
    val_paths = build_cache(out / "cache" / "val", judged, *arguments)
    learned_on, count = (train_paths, exposed), len(found.classes)
    return [
        train_comparator(
            recipe, count, resynthesis, learned_on, val_paths, out / name, mark, resume, progress
        )
        for name, resynthesis in (("direct", False), ("comparator", True))
    ]
