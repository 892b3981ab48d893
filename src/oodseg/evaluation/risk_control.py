"""Chooses the box threshold of a pipeline so that a risk stays below a target on new images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.guarantee import CALIBRATED, RISKS, Guarantee, check_risk
from oodseg.core.progress import Progress, silent
from oodseg.data import BenchmarkSet, Frame
from oodseg.metrics.conformal import controlled
from oodseg.metrics.risk import false_alarms, missed_objects, missed_pixels
from oodseg.pipeline import S2M

F64 = NDArray[np.float64]
Loss = Callable[[Sequence[dict[str, Any]], Sequence[float], NDArray[np.uint8], F64], F64 | None]
# Chosen before any image is seen, as risk control asks for.
THRESHOLDS: F64 = np.linspace(0.0, 1.0, 1001)
_LOSSES: dict[str, Loss] = {
    "miss": missed_pixels,
    "miss_objects": missed_objects,
    "false_alarms": false_alarms,
}


def control_risk(
    s2m: S2M, dataset: BenchmarkSet, risk: str, target: float, progress: Progress | None = None
) -> Guarantee:
    """Calibrates a pipeline in place (conformal risk control: Angelopoulos et al., ICLR 2024).

    Of all box thresholds whose mean loss on a new image stays below the target it takes the one that goes
    least far: the highest for misses, the lowest for false alarms.

    Args:
        s2m: The pipeline; afterwards it works at the operating point `"calibrated"`.
        dataset: Labelled images that nothing of it was trained or chosen on.
        risk: What is kept in check: a key of `oodseg.core.guarantee.RISKS`.
        target: The mean loss allowed per image.
        progress: Told after every image.

    Raises:
        ConfigError: An unknown risk or a target that no threshold keeps, with the one that can be kept.
        DatasetError: No labelled image in which the risk can be measured.
        OodsegError: An image or a label cannot be read.
    """
    check_risk(risk, target)
    losses = risk_losses(s2m, dataset.frames, risk, progress)
    if not losses:
        raise DatasetError(
            f"{dataset.root} holds no labelled image in which {risk} can be measured: choose another set"
        )
    least = least_confidence(np.stack(losses), risk, target)
    s2m.guarantee = Guarantee(risk, target, least, len(losses), dataset.root.resolve().name)
    s2m.operating_point = CALIBRATED
    return s2m.guarantee


def risk_losses(s2m: S2M, frames: Sequence[Frame], risk: str, progress: Progress | None = None) -> list[F64]:
    """Measures what every image loses at each of `THRESHOLDS`.

    Args:
        s2m: The pipeline.
        frames: Those without image or label are left out.
        risk: A key of `oodseg.core.guarantee.RISKS`.
        progress: Told after every image.

    Returns:
        Float64 `[T]` of every image in which the risk can be measured, in 0..bound.

    Raises:
        DatasetError: A label that cannot be used, or is not of its image's size.
        ImageError: An image cannot be read.
    """
    shown = [each for each in frames if each.label_path is not None and each.image_path is not None]
    point, found = s2m.operating_point, []
    s2m.operating_point = 0.0  # every box there is
    try:
        for number, frame in enumerate(shown, start=1):
            loss = _loss(s2m, frame, risk)
            if loss is not None:
                found.append(np.minimum(loss, RISKS[risk][1]))
            (progress or silent)("calibrating", number, len(shown))
    finally:
        s2m.operating_point = point
    return found


def least_confidence(losses: F64, risk: str, target: float) -> float:
    """Chooses the threshold.

    Args:
        losses: What `risk_losses` returned, `[N, T]`.
        risk: Of which risk.
        target: The mean loss allowed on a new image.

    Raises:
        ConfigError: No threshold keeps the target.
    """
    falls = risk == "false_alarms"  # as the threshold rises; misses fall as it sinks
    thresholds, table = (THRESHOLDS, losses) if falls else (THRESHOLDS[::-1], losses[:, ::-1])
    chosen = controlled(table, target, RISKS[risk][1])
    if chosen is None:
        raise ConfigError(_refusal(table, risk, target))
    return float(thresholds[chosen])


def _loss(s2m: S2M, frame: Frame, risk: str) -> F64 | None:
    label, prediction = frame.label, s2m(frame.image_path)
    if label.shape != (prediction.height, prediction.width):
        raise DatasetError(
            f"{frame.label_path} is not of the size of its image {frame.image_path}: export both again"
        )
    masks = [each.rle for each in prediction.objects]
    confidences = [each.confidence for each in prediction.objects]
    return _LOSSES[risk](masks, confidences, label, THRESHOLDS)


def _refusal(table: F64, risk: str, target: float) -> str:
    """Says why no threshold keeps the target, and what would."""
    bound, count = RISKS[risk][1], len(table)
    needed = math.ceil(bound / target) - 1
    if count < needed:
        return f"{count} images are too few to promise {risk}={target:g}: give at least {needed}"
    # Rounded up: what is named must be one that can be kept.
    least = math.ceil((table[:, -1].sum() + bound) / (count + 1) * 100) / 100
    return (
        f"no threshold keeps {risk} at {target:g}, for even the last one loses {table[:, -1].mean():.2f} an "
        f"image: ask for {risk}={least:g} or more, or calibrate a better pipeline"
    )
