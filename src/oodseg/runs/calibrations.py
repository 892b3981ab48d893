"""Calibrates what is promised of new images: intervals of a failure detector, boxes of a pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.core.guarantee import Guarantee, check_risk
from oodseg.core.intervals import QualityIntervals
from oodseg.core.progress import Progress, silent
from oodseg.data import open_dataset
from oodseg.data.labelled import labelled_images
from oodseg.evaluation.quality_intervals import fit_intervals, judge_labelled
from oodseg.evaluation.risk_control import control_risk
from oodseg.failures.loading import choose_failure_detector
from oodseg.failures.storage import copy_failure_detector
from oodseg.pipeline import S2M

if TYPE_CHECKING:
    from oodseg.core.parts import Segmenter


def calibrate_intervals(
    data: str | os.PathLike[str],
    detector: str | os.PathLike[str] = "street",
    out: str | os.PathLike[str] | None = None,
    *,
    level: float = 0.9,
    quality: str = "IoU",
    segmenter: str | Mapping[str, Any] | Segmenter | None = None,
    device: str | int = "auto",
    progress: Progress | None = None,
) -> QualityIntervals:
    """Fits where the true quality of an image lies, and saves the failure detector with it.

    Args:
        data: Folder with `images/` and `labels/`, paired by name: labels hold the indices of the detector's
            classes, 255 where there is no truth. Neither segmenter nor detector may have learned on them.
        detector: Bundled failure detector, folder of a trained one, or a baseline such as `"msp"`.
        out: Folder for the failure detector with its intervals, new or empty; None to save nothing.
        level: Probability that an interval is to hold the truth of a new image, in 0..1.
        quality: What the mean over an image's classes is of: `"IoU"` or `"Dice"`.
        segmenter: The segmenter to judge; None for the detector's own.
        device: Where both run: see `choose_device`.
        progress: Told after every image.

    Returns:
        The intervals.

    Raises:
        ConfigError: Too few images for the level, a quality of another name, or an `out` that is in use.
        DatasetError: No such folder, or labels missing.
        OodsegError: An unusable detector or segmenter, or a folder that cannot be written.
    """
    if quality not in {"IoU", "Dice"}:
        raise ConfigError(f"there is no quality '{quality}': choose IoU or Dice")
    if out is not None:
        check_unused(Path(out))
    images = labelled_images(Path(data))
    judge = choose_failure_detector(os.fspath(detector), segmenter, device)
    report = progress or silent

    def read() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        for number, each in enumerate(images, start=1):
            yield each.read()
            report("judging", number, len(images))

    judged = judge_labelled(judge, read(), quality)
    fitted = fit_intervals(judged, level, quality, Path(data).absolute().name)
    judge.intervals = fitted
    if out is not None:
        copy_failure_detector(judge, detector, out)
    return fitted


def calibrate_boxes(
    data: str | os.PathLike[str],
    pipeline: str | os.PathLike[str] | S2M = "street",
    out: str | os.PathLike[str] | None = None,
    *,
    risk: str = "miss",
    target: float = 0.1,
    device: str | int = "auto",
    size: int | None = None,
    progress: Progress | None = None,
) -> Guarantee:
    """Chooses a pipeline's box threshold so that a risk stays below a target, and saves the pipeline with it.

    Args:
        data: Folder of a benchmark's layout, with labels, such as `images/` and `labels/` (1: anomaly).
            Nothing of the pipeline may have been trained or chosen on it.
        pipeline: Bundled name, folder, or a pipeline, which is calibrated in place.
        out: Folder for the calibrated pipeline, new or empty; None to save nothing.
        risk: `"miss"` (share of an image's anomalous pixels), `"miss_objects"` (share of its objects) or
            `"false_alarms"` (number per image).
        target: The mean allowed per image.
        device: Where a named pipeline runs: see `S2M`.
        size: Long side in pixels at which a named pipeline looks at images, now and when it is used; None for
            its own choice.
        progress: Told after every image.

    Returns:
        What is promised.

    Raises:
        ConfigError: A target that no threshold keeps, an unknown risk, or an `out` that is in use.
        DatasetError: No such folder, or nothing in it to measure the risk on.
        OodsegError: An image that cannot be read, or a folder that cannot be written.
    """
    check_risk(risk, target)
    if out is not None:
        check_unused(Path(out))
    dataset = open_dataset(data)
    if isinstance(pipeline, S2M):
        if size is not None:
            raise ConfigError("a size is chosen for a pipeline that is named: put it into S2M(...)")
        s2m = pipeline
    else:
        side = None if size is None else (size, size)
        s2m = S2M.from_pretrained(pipeline, device, working_side=side)
    found = control_risk(s2m, dataset, risk, target, progress)
    if out is not None:
        s2m.name = Path(out).absolute().name
        s2m.save_pretrained(out)
    return found


def check_unused(out: Path) -> None:
    """Makes sure that a folder to write is new or empty.

    Raises:
        ConfigError: It holds something, or is a file.
    """
    if any(out.iterdir()) if out.is_dir() else out.exists():
        raise ConfigError(f"{out} is not empty: choose a new folder with --out")
