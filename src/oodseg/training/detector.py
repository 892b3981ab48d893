"""Makes the shipped detector from a trained street network: statistics and the best combination of scores.

Statistics are fitted on in-distribution images of drives that were not trained on. The weights of
objectness, entropy and energy, and whether a reduced image is looked at too, are what reaches the best
pooled AuPRC on outlier-exposure scenes with objects that were never trained on.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.progress import Progress, track
from oodseg.core.taxonomy import IGNORE
from oodseg.detectors.street import MAIN, StreetDetector
from oodseg.io.images import to_tensor
from oodseg.metrics.pixel import pixel_metrics
from oodseg.segmenters.street import StreetNet
from oodseg.synth.scenes import SceneSampler
from oodseg.training.engine.recipe import Recipe, load_recipe
from oodseg.training.engine.trained import Trained, save_trained
from oodseg.training.ordinary import known_images
from oodseg.training.scene_mix import MixRecipe

_EVERY = 3  # of the pixels in each direction: neighbours say the same


class DetectorRecipe(Recipe):
    """All settings of a fit of the street detector.

    Attributes:
        reductions: What is tried for `StreetDetector(reductions=...)`.
        weights: What is tried for the weights of entropy and of energy; objectness has weight 1.
        details: What is tried for `StreetDetector(detail=...)`.
        close_members: Of `StreetDetector`.
        worth: AuPRC that a further score has to gain to be taken.
        detail_worth: AuPRC that the closer look has to gain: less, since the small things far away that it is
            for are few pixels.
        sizes: Height and width of the scenes that say which combination is best, in turn.
        scenes: Number of these.
        large_size: Height and width of the scenes that say how much a closer look is worth: twice the working
            size, as large images are seen.
        large_scenes: Number of these.
        mix: Composition of all scenes.
    """

    reductions: list[tuple[int, ...]] = Field(default=[(1,), (1, 2)], min_length=1)
    weights: list[float] = Field(default=[0.0, 0.1, 0.25, 0.5, 1.0], min_length=1)
    details: list[float] = Field(default=[0.0, 0.25, 0.5, 0.75, 1.0], min_length=1)
    close_members: list[int] | None = None
    worth: float = Field(default=0.005, ge=0)
    detail_worth: float = Field(default=0.002, ge=0)
    sizes: list[tuple[int, int]] = Field(default=[(360, 640), (384, 512)], min_length=1)
    scenes: int = Field(default=120, ge=1)
    large_size: tuple[int, int] = (720, 1280)
    large_scenes: int = Field(default=48, ge=1)
    mix: MixRecipe = MixRecipe(natural=0.1, drawn=0.1, loose=1.0)


def fit_statistics(detector: StreetDetector, data_root: Path, progress: Progress | None = None) -> None:
    """Fits mean and standard deviation of every score on in-distribution images, in place."""
    values: dict[str, list[Tensor]] = {}
    for image, _ in track(list(known_images(data_root)), "statistics", progress):
        for name, score in detector.score_channels(image).items():
            values.setdefault(name, []).append(score[:, ::_EVERY, ::_EVERY].flatten())
    for name, maps in values.items():
        detector.channel_normalizers[name] = ScoreNormalizer.fit(maps)


def fit_combination(
    detector: StreetDetector, data_root: Path, recipe: DetectorRecipe, progress: Progress | None = None
) -> dict[str, dict[str, float]]:
    """Chooses the weights of the scores on synthetic scenes, in place.

    Args:
        detector: With the statistics of the single scores already fitted.
        data_root: Folder of the training data.
        recipe: The scenes and what is tried.
        progress: Told after every scene.

    Returns:
        AuPRC and FPR95 of every single score and of the chosen combination.
    """
    mix = recipe.mix.made()
    samplers = [SceneSampler(data_root, size, "val", recipe.seed, mix) for size in recipe.sizes]
    columns: dict[str, list[NDArray[np.float32]]] = {}
    labels: list[NDArray[np.uint8]] = []
    for index in track(range(recipe.scenes), "combination", progress):
        rng = np.random.default_rng((recipe.seed + 2_000_003, index))
        scene = samplers[index % len(samplers)].sample(rng)
        scores = detector.score_channels(to_tensor(scene.image)[None])
        for name in ("objectness", "entropy", "energy"):
            normalized = detector.channel_normalizers[name](scores[name])[0, ::_EVERY, ::_EVERY]
            columns.setdefault(name, []).append(normalized.flatten().numpy())
        labels.append(_truth(scene.unknown[::_EVERY, ::_EVERY]))
    z = {name: np.concatenate(parts) for name, parts in columns.items()}
    truth = np.concatenate(labels)
    quality = {name: pixel_metrics(values, truth) for name, values in z.items()}
    spent = 0.0
    best, chosen = quality["objectness"], {"objectness": 1.0, "entropy": 0.0, "energy": 0.0}
    for entropy_weight, energy_weight in itertools.product(recipe.weights, recipe.weights):
        mixed = z["objectness"] + entropy_weight * z["entropy"] + energy_weight * z["energy"]
        found = pixel_metrics(mixed, truth)
        terms = (entropy_weight > 0) + (energy_weight > 0)
        # Every further score must earn its place: a smaller gain is within the noise of these scenes.
        if found.auprc - terms * recipe.worth > best.auprc - spent:
            best, spent = found, terms * recipe.worth
            chosen = {"objectness": 1.0, "entropy": entropy_weight, "energy": energy_weight}
    detector.combination = chosen
    quality[MAIN] = best
    return {name: {"auprc": each.auprc, "fpr95": each.fpr95} for name, each in quality.items()}


def fit_detail(
    detector: StreetDetector, data_root: Path, recipe: DetectorRecipe, progress: Progress | None = None
) -> dict[str, float]:
    """Chooses how far a closer look raises the score, on scenes at twice the working size, in place.

    Args:
        detector: With everything else fitted.
        data_root: Folder of the training data.
        recipe: The scenes and what is tried.
        progress: Told after every scene.

    Returns:
        AuPRC of every choice.
    """
    sampler = SceneSampler(data_root, recipe.large_size, "val", recipe.seed, recipe.mix.made())
    columns: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.uint8]] = []
    for index in track(range(recipe.large_scenes), "closer look", progress):
        scene = sampler.sample(np.random.default_rng((recipe.seed + 3_000_003, index)))
        score, more, _ = detector.details(to_tensor(scene.image)[None])
        both = torch.stack([score, more])[:, 0, ::_EVERY, ::_EVERY]
        columns.append(both.flatten(1).numpy())
        labels.append(_truth(scene.unknown[::2, ::2][::_EVERY, ::_EVERY]))
    score, more = np.concatenate(columns, axis=1)
    truth = np.concatenate(labels)
    quality = {detail: pixel_metrics(score + detail * more, truth).auprc for detail in recipe.details}
    # A closer look costs more than half of the time: it must earn its place.
    detector.detail = max(quality, key=lambda each: quality[each] - recipe.detail_worth * (each > 0))
    return {str(detail): value for detail, value in quality.items()}


def _truth(unknown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of `Scene.unknown` to labels `[N]`: 1 on any unknown object, 0 off them, or 255."""
    codes = unknown.ravel()
    return np.where((codes > 0) & (codes < IGNORE), 1, codes).astype(np.uint8)


def train(
    recipe: DetectorRecipe | str | Path,
    data_root: Path,
    out: Path,
    segmenter: StreetNet,
    progress: Progress | None = None,
) -> Trained:
    """Fits the street detector around a trained street network.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run: `detector.safetensors`, `metrics.json`.
        segmenter: The network.
        progress: Told after every image and scene.

    Raises:
        ConfigError: A recipe that cannot be used.
        DatasetError: Missing data.
    """
    settings = load_recipe(recipe, DetectorRecipe)
    detector = StreetDetector(segmenter, close_members=settings.close_members)
    tried: dict[tuple[int, ...], tuple[dict[str, Any], dict[str, float]]] = {}
    for reductions in settings.reductions:
        detector.reductions = reductions
        fit_statistics(detector, data_root, progress)
        quality = fit_combination(detector, data_root, settings, progress)
        tried[reductions] = (quality, detector.combination)
    detector.reductions = max(tried, key=lambda each: tried[each][0][MAIN]["auprc"])
    detector.combination = tried[detector.reductions][1]
    fit_statistics(detector, data_root, progress)  # single scores first: the combination adds them up
    fit_statistics(detector, data_root, progress)  # then the combination's own
    by_detail = fit_detail(detector, data_root, settings, progress)
    by_reductions = {str(list(each)): quality for each, (quality, _) in tried.items()}
    validation = {"by_reductions": by_reductions, "auprc_by_detail": by_detail}
    return save_trained(out, "detector", detector, settings, validation)
