"""Makes the shipped detector from a trained street network: statistics and the best combination of scores.

Statistics are fitted on in-distribution images of drives that were not trained on. The weights of
objectness, entropy and energy, and whether a reduced image is looked at too, are what reaches the best
pooled AuPRC on outlier-exposure scenes with objects that were never trained on.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from oodseg.core.build import load_part
from oodseg.core.bundle import load_weights, read_header
from oodseg.core.errors import WeightsError
from oodseg.core.files import write_json
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.stages import WORKING_SIDE, working_size
from oodseg.core.taxonomy import IGNORE
from oodseg.data.training import street_images
from oodseg.detectors.street import MAIN, StreetDetector
from oodseg.io.images import resize, to_tensor
from oodseg.metrics.pixel import pixel_metrics
from oodseg.segmenters.street import StreetNet
from oodseg.synth.scenes import Mix, SceneSampler
from oodseg.training.common import save_weights

_GRID = (0.0, 0.1, 0.25, 0.5, 1.0)
_SIZES = ((360, 640), (384, 512))
_REDUCTIONS = ((1,), (1, 2))
_WORTH = 0.005  # AuPRC
_DETAILS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Scenes at twice the working size, as large images are seen.
_LARGE = (720, 1280)
_EVERY = 3  # of the pixels in each direction: neighbours say the same


def detector_from_weights(path: Path) -> StreetDetector:
    """Builds a detector around weights of a segmenter training, combination and statistics still neutral.

    Raises:
        WeightsError: No whole weight file with the network's settings in its header.
    """
    try:
        network = StreetNet(**json.loads(read_header(path)["config"]))
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path} is no weight file of a segmenter training: run `oodseg train segmenter` first"
        ) from error
    load_weights(network, path)
    return StreetDetector(network).eval()


def known_images(data_root: Path, zoom: int = 1) -> Iterator[tuple[Tensor, int]]:
    """Yields validation street images at the size that a pipeline uses, without unknown objects.

    Args:
        data_root: Folder of the training data.
        zoom: Factor over the working size at which the detector wants to see images.

    Yields:
        Float `[1, 3, zoom * H, zoom * W]` in 0..1 with the zoom, which is 1 where an image is too small.
    """
    for images in street_images(data_root, "val").values():
        for each in images:
            image = each.read()[0]
            rows, columns = image.shape[:2]
            height, width = working_size(rows, columns, WORKING_SIDE)
            fits = zoom if zoom * max(height, width) <= max(rows, columns) else 1
            yield to_tensor(resize(image, fits * height, fits * width))[None], fits


def fit_statistics(detector: StreetDetector, data_root: Path, progress: bool = True) -> None:
    """Fits mean and standard deviation of every score on in-distribution images, in place."""
    values: dict[str, list[Tensor]] = {}
    for image, _ in track(list(known_images(data_root)), "statistics", disable=not progress):
        for name, score in detector.score_channels(image).items():
            values.setdefault(name, []).append(score[:, ::_EVERY, ::_EVERY].flatten())
    for name, maps in values.items():
        detector.channel_normalizers[name] = ScoreNormalizer.fit(maps)


def fit_combination(
    detector: StreetDetector, data_root: Path, scenes: int = 120, seed: int = 0, progress: bool = True
) -> dict[str, dict[str, float]]:
    """Chooses the weights of the scores on synthetic scenes, in place.

    Args:
        detector: With the statistics of the single scores already fitted.
        data_root: Folder of the training data.
        scenes: Number of validation scenes.
        seed: Seed of the scenes.
        progress: Show a progress bar.

    Returns:
        AuPRC and FPR95 of every single score and of the chosen combination.
    """
    mix = Mix(natural=0.1, drawn=0.1)
    samplers = [SceneSampler(data_root, size, "val", seed, mix) for size in _SIZES]
    columns: dict[str, list[NDArray[np.float32]]] = {}
    labels: list[NDArray[np.uint8]] = []
    for index in track(range(scenes), "combination", disable=not progress):
        scene = samplers[index % len(samplers)].sample(np.random.default_rng((seed + 2_000_003, index)))
        scores = detector.score_channels(to_tensor(scene.image)[None])
        for name in ("objectness", "entropy", "energy"):
            normalized = detector.channel_normalizers[name](scores[name])[0, ::_EVERY, ::_EVERY]
            columns.setdefault(name, []).append(normalized.flatten().numpy())
        codes = scene.unknown[::_EVERY, ::_EVERY].ravel()
        labels.append(np.where((codes > 0) & (codes < IGNORE), 1, codes).astype(np.uint8))
    z = {name: np.concatenate(parts) for name, parts in columns.items()}
    truth = np.concatenate(labels)
    quality = {name: pixel_metrics(values, truth) for name, values in z.items()}
    worth = 0.0
    best, chosen = quality["objectness"], {"objectness": 1.0, "entropy": 0.0, "energy": 0.0}
    for entropy_weight, energy_weight in itertools.product(_GRID, _GRID):
        mixed = z["objectness"] + entropy_weight * z["entropy"] + energy_weight * z["energy"]
        found = pixel_metrics(mixed, truth)
        terms = (entropy_weight > 0) + (energy_weight > 0)
        # Every further score must earn its place: a smaller gain is within the noise of these scenes.
        if found.auprc - terms * _WORTH > best.auprc - worth:
            best, worth = found, terms * _WORTH
            chosen = {"objectness": 1.0, "entropy": entropy_weight, "energy": energy_weight}
    detector.combination = chosen
    quality[MAIN] = best
    return {name: {"auprc": each.auprc, "fpr95": each.fpr95} for name, each in quality.items()}


def fit_detail(
    detector: StreetDetector, data_root: Path, scenes: int = 48, seed: int = 0, progress: bool = True
) -> dict[str, float]:
    """Chooses how far a closer look raises the score, on scenes at twice the working size, in place.

    Args:
        detector: With everything else fitted.
        data_root: Folder of the training data.
        scenes: Number of validation scenes.
        seed: Seed of the scenes.
        progress: Show a progress bar.

    Returns:
        AuPRC of every choice.
    """
    sampler = SceneSampler(data_root, _LARGE, "val", seed, Mix(natural=0.1, drawn=0.1))
    columns: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.uint8]] = []
    for index in track(range(scenes), "closer look", disable=not progress):
        scene = sampler.sample(np.random.default_rng((seed + 3_000_003, index)))
        score, more, _ = detector.details(to_tensor(scene.image)[None])
        both = torch.stack([score, more])[:, 0, ::_EVERY, ::_EVERY]
        columns.append(both.flatten(1).numpy())
        codes = scene.unknown[::2, ::2][::_EVERY, ::_EVERY].ravel()
        labels.append(np.where((codes > 0) & (codes < IGNORE), 1, codes).astype(np.uint8))
    score, more = np.concatenate(columns, axis=1)
    truth = np.concatenate(labels)
    quality = {detail: pixel_metrics(score + detail * more, truth).auprc for detail in _DETAILS}
    # A closer look costs more than half of the time: it must earn its place.
    detector.detail = max(quality, key=lambda each: quality[each] - _WORTH * (each > 0))
    return {str(detail): value for detail, value in quality.items()}


def fit_detector(weights: Path, data_root: Path, out: Path, progress: bool = True) -> StreetDetector:
    """Fits statistics and combination; writes `out/detector.safetensors` and `out/detector.json`.

    Args:
        weights: `segmenter.safetensors` of a segmenter training.
        data_root: Folder of the training data.
        out: Folder to write to.
        progress: Show progress bars.

    Raises:
        WeightsError: No usable weights.
        DatasetError: Missing data.
    """
    detector = detector_from_weights(weights)
    tried: dict[tuple[int, ...], tuple[dict[str, Any], dict[str, float]]] = {}
    for reductions in _REDUCTIONS:
        detector.reductions = reductions
        fit_statistics(detector, data_root, progress)
        quality = fit_combination(detector, data_root, progress=progress)
        tried[reductions] = (quality, detector.combination)
    detector.reductions = max(tried, key=lambda each: tried[each][0][MAIN]["auprc"])
    detector.combination = tried[detector.reductions][1]
    fit_statistics(detector, data_root, progress)  # single scores first: the combination adds them up
    fit_statistics(detector, data_root, progress)  # then the combination's own
    detail = fit_detail(detector, data_root, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    save_weights(detector.state_dict(), out / "detector.safetensors")
    quality_by_reductions = {str(list(each)): quality for each, (quality, _) in tried.items()}
    summary: dict[str, Any] = {
        "config": detector.config,
        "validation": quality_by_reductions,
        "auprc_by_detail": detail,
    }
    write_json(out / "detector.json", summary, indent=1)
    return detector


def load_detector(folder: Path) -> StreetDetector:
    """Loads what `fit_detector` wrote.

    Raises:
        WeightsError: The folder holds no detector.
    """
    try:
        config = json.loads((folder / "detector.json").read_text(encoding="utf-8"))["config"]
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{folder} holds no detector ({error}): run `oodseg train detector` first"
        ) from error
    saved = {"detector": {"name": StreetDetector.name, **config}}
    detector: StreetDetector = load_part(
        folder, {**saved, "weights": {"detector": {"file": "detector.safetensors"}}}, "detector"
    )
    return detector
