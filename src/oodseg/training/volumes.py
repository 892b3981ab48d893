"""Trains a failure detector for volumes: SynthCP around labels that were made elsewhere.

1. Predictions of every slice by a model that had not seen it: those that were cut along with the scans, else
   of segmenters trained here, one per fold (`fold_0/` ..., `segmenter/`; see `volume_predictors`).
2. `cache/`: the slices with these predictions, reconstructed by the generator.
3. `comparator/`: the comparator; its qualities are Dice. `direct/`, `vae_alarm/`: what it is measured
   against.
4. `detector/`: the failure detector, calibrated on the validation scans and measured on the test scans, from
   which its intervals come; `baselines/direct/` and `baselines/vae_alarm/` likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import hash_part
from oodseg.core.progress import Progress
from oodseg.data.slices import labelled_slices, window_of
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.storage import save_failure_detector
from oodseg.failures.synthcp import DirectPrediction, SynthCP
from oodseg.failures.vae_alarm import VAEAlarm
from oodseg.segmenters.given import GivenLabels
from oodseg.training.comparator import ComparatorRecipe, train_comparator
from oodseg.training.comparator_cache import Segment, build_cache
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import Trained, save_metrics
from oodseg.training.failure_calibration import calibrate
from oodseg.training.vae_alarm import train_vae
from oodseg.training.volume_measures import measure_volumes
from oodseg.training.volume_predictors import PredictedSlice, Predictors, train_predictors

if TYPE_CHECKING:
    from oodseg.failures.spade import SpadeGenerator

_LEVEL = 0.9  # of the intervals


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
        measured on the test scans, under `"baselines"` the same of those.

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
    predictors = train_predictors(settings, found, classes, out, resume, progress)
    given = GivenLabels(classes, window_of(data_root), predictors.whole)
    every = -(-len(found["val"]) // settings.calibration_images)
    judged = predictors.judged({**found, "val": found["val"][::every]})
    paths, mark = _caches(judged, given, generator[0], settings, out, progress)
    learned_on, count = (paths["train"], ()), len(classes)
    detectors: list[SegmenterAssessor] = []
    validation: dict[str, Any] = {}
    for name, resynthesis in (("comparator", True), ("direct", False)):
        network, validation[name] = train_comparator(
            settings, count, resynthesis, learned_on, paths["val"], out / name, mark, resume, progress
        )
        detectors.append(
            SynthCP(given, generator[0], network) if resynthesis else DirectPrediction(given, network)
        )
    vae = train_vae(
        settings.vae.reseeded(settings.seed), count, found["train"], out / "vae_alarm", resume, progress
    )
    detectors.append(VAEAlarm(given, vae))
    figures = {each.name: _finish(each, judged, predictors, data_root, out, progress) for each in detectors}
    ours = figures.pop(SynthCP.name)
    more = {"test": ours, "baselines": figures}
    return Trained(out / "detector", save_metrics(out, settings, validation["comparator"], **more))


def _caches(
    judged: dict[str, list[PredictedSlice]],
    given: GivenLabels,
    generator: SpadeGenerator,
    settings: ComparatorRecipe,
    out: Path,
    progress: Progress | None,
) -> tuple[dict[str, list[Path]], Any]:
    """Files to learn and to validate on, and what they depend on."""

    def segment_of(each: PredictedSlice) -> Segment:
        return lambda images: given.segmentation_of(
            each.labels(images[0]), (images.shape[2], images.shape[3])
        )

    known = {id(each.predictor): each.predictor for each in judged["train"] if each.predictor is not None}
    networks = [generator, *known.values()]
    mark = [[each.slice.image.name for each in judged["train"]], [hash_part(each) for each in networks]]
    paths = {
        split: build_cache(
            out / "cache" / split,
            [(each, segment_of(each)) for each in judged[split]],
            generator,
            settings.size,
            mark,
            progress,
        )
        for split in ("train", "val")
    }
    return paths, mark


def _finish(
    detector: SegmenterAssessor,
    judged: dict[str, list[PredictedSlice]],
    predictors: Predictors,
    data_root: Path,
    out: Path,
    progress: Progress | None,
) -> dict[str, Any]:
    """Calibrates, measures and saves a detector; returns its figures on the test scans."""
    calibrate(detector, judged["val"], True, progress, PredictedSlice.labels)
    measured = measure_volumes(detector, judged["test"], progress)
    made = "predictions that came along" if predictors.whole is None else "its own segmenter"
    detector.structure_intervals = measured.intervals(
        _LEVEL, f"test scans of {data_root.absolute().name}, labelled by {made}"
    )
    folder = "detector" if detector.name == SynthCP.name else f"baselines/{detector.name}"
    save_failure_detector(detector, out / folder, {"measured": dict(measured.figures)})
    return dict(measured.figures)
