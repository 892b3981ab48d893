"""Calibrates failure detectors on labelled images that nothing was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.progress import Progress, track
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.calibration import Calibration, fit_classes, fit_pixels, fit_presence
from oodseg.failures.detector import Measurement, SegmenterAssessor
from oodseg.failures.synthcp import SynthCP
from oodseg.failures.synthcp_detector import COMBINATIONS, SynthCPDetector
from oodseg.io.images import to_tensor
from oodseg.metrics.failure import image_dice, image_iou
from oodseg.training.labelled import Labelled

LabelledT = TypeVar("LabelledT", bound=Labelled)
_EVERY = 3  # of the pixels in each direction: neighbours say the same


def calibrate(
    detector: SegmenterAssessor,
    images: Sequence[LabelledT],
    dice: bool = False,
    progress: Progress | None = None,
    labels_of: Callable[[LabelledT, Tensor], Tensor] | None = None,
) -> None:
    """Fits a detector's calibration on labelled images that nothing was trained on, in place.

    Args:
        detector: The detector; its old calibration is forgotten.
        images: Labelled images.
        dice: Qualities are Dice instead of IoU.
        progress: Told after every image.
        labels_of: The labels to judge, of an image and its tensor `[3, H, W]`; None for those of the
            detector's own segmenter.
    """
    measure = image_dice if dice else image_iou
    found: list[Measurement] = []
    scores: list[NDArray[np.float32]] = []
    wrong: list[NDArray[np.bool_]] = []
    true: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        for each in track(images, f"calibrating {detector.name}", progress):
            image, truth = each.read()
            pixels = to_tensor(image)
            one = detector.measure(pixels, None if labels_of is None else labels_of(each, pixels))
            labels = one.labels.cpu().numpy().astype(np.uint8)
            judged = truth[::_EVERY, ::_EVERY] != IGNORE
            scores.append(one.score[::_EVERY, ::_EVERY].float().cpu().numpy()[judged])
            wrong.append((labels != truth)[::_EVERY, ::_EVERY][judged])
            true.append(measure(labels, truth, len(detector.classes)))
            # Only what is needed again: 200 images of everything would fill the memory.
            found.append(replace(one, labels=one.labels.byte(), resynthesis=None))
    slope, offset = fit_pixels(np.concatenate(scores), np.concatenate(wrong))
    detector.calibration = Calibration(slope, offset)
    measured = np.stack([detector.class_measure(one) for one in found])
    qualities = np.stack(true)
    presence = fit_presence(~np.isnan(measured), ~np.isnan(qualities))
    detector.calibration = Calibration(slope, offset, fit_classes(measured, qualities), presence)


def anomaly_statistics(
    detector: SynthCP, images: Sequence[Labelled], progress: Progress | None = None
) -> dict[str, tuple[float, float]]:
    """Computes the mean and deviation of every combination's score on images without unknown objects."""
    batch = [to_tensor(each.read()[0])[None] for each in images]
    found = {}
    tells = detector.comparator.unknown is not None
    combinations = [each for each in COMBINATIONS if tells or each != "unknown"]
    for combine in track(combinations, "statistics", progress):
        scorer = SynthCPDetector(
            segmenter=detector.segmenter,
            generator=detector.generator,
            comparator=detector.comparator,
            calibration=detector.calibration,
            combine=combine,
        )
        fitted = ScoreNormalizer.fit(scorer.score(image) for image in batch)
        found[combine] = (fitted.mean, fitted.std)
    return found
