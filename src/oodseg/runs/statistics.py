"""Fits a detector's statistics: permanently on ordinary images, or on the very images to be predicted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from oodseg.core.errors import ConfigError, ImageError, OodsegError
from oodseg.core.files import write_json
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Fittable, statistics_of
from oodseg.core.progress import Progress, silent
from oodseg.io.images import resize, to_tensor
from oodseg.pipeline import S2M
from oodseg.runs.items import Item, open_source
from oodseg.runs.scores import HIGH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

RECORD = "fit.json"  # marks a folder as one written by a fit
AnyT = TypeVar("AnyT")


@dataclass
class FitRun:
    """The result of a fit.

    Attributes:
        images: Number of images behind the statistics.
        mean: Mean score of their pixels.
        std: Standard deviation of these scores.
        failures: By name: why an image could not be read.
    """

    images: int
    mean: float
    std: float
    failures: dict[str, str]


@dataclass
class OrdinaryImages:
    """Images at a pipeline's working size; can be iterated over repeatedly.

    Attributes:
        failures: By name: why an image could not be read.
    """

    items: Sequence[Item]
    s2m: S2M
    progress: Progress = silent
    failures: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Tensor]:
        """Float `[1, 3, h, w]` in 0..1 on the pipeline's device; unreadable images are left out."""
        for image in self._images():
            small = resize(image, *self.s2m.working_size(*image.shape[:2]))
            yield to_tensor(small)[None].to(self.s2m.device)

    def scores(self) -> Iterator[Tensor]:
        """Computes the detector's scores of every readable image, as the pipeline takes them."""
        return (self.s2m.detector_score(image) for image in self._images())

    def _images(self) -> Iterator[NDArray[np.uint8]]:
        for number, item in enumerate(self.items, start=1):
            if item.name not in self.failures:
                try:
                    yield item.read()
                except ImageError as error:
                    self.failures[item.name] = str(error)
            self.progress("looking at images", number, len(self.items))


def fit(
    source: Any,
    pipeline: str | os.PathLike[str] | S2M = "street",
    out: str | os.PathLike[str] | None = None,
    *,
    detector: Any = None,
    limit: int | None = None,
    device: str | int = "auto",
    size: int | None = None,
    progress: Progress | None = None,
) -> FitRun:
    """Fits a pipeline's detector to ordinary images, and saves the pipeline.

    What is learned: the statistics of scores that have some, and for every score the range it has on images
    in which nothing is unknown, which the box prompts go by.

    Args:
        source: Ordinary images: what `oodseg.runs.predict` takes; they are looked at more than once.
        pipeline: Bundled name, folder, or a pipeline, whose detector is fitted in place.
        out: Folder for the fitted pipeline: new, empty, or that of an earlier fit; None to save nothing.
        detector: Replaces that part of a named pipeline: see `S2M.from_pretrained`.
        limit: At most this many images, spread evenly; None for all.
        device: Where a named pipeline runs: see `S2M`.
        size: Long side in pixels at which a named pipeline looks at images, now and when it is used; None for
            its own choice.
        progress: Told after every image.

    Returns:
        The statistics and what was left out.

    Raises:
        ConfigError: `out` holds something else, or the pipeline has no detector or none that can be saved.
        ImageError: No such image, or none that can be read.
        OodsegError: Scores that cannot be fitted, or a folder that cannot be written.
    """
    if out is not None:
        _check_target(Path(out))
    items = list(open_source(source).items)
    if limit is not None:
        items = spread(items, limit)
    if isinstance(pipeline, S2M):
        if detector is not None or size is not None:
            raise ConfigError(
                "a detector or a size is chosen for a pipeline that is named: put it into S2M(...)"
            )
        s2m, named = pipeline, pipeline.name
    else:
        chosen = "bundled" if detector is None else detector
        side = None if size is None else (size, size)
        s2m = S2M.from_pretrained(pipeline, device, detector=chosen, working_side=side)
        named = str(pipeline)
    if out is not None and s2m.detector is not None:
        _ = s2m.detector.config  # refuse what cannot be saved before the work, not after it
    found = fit_detector(s2m, items, progress)
    if out is not None:
        s2m.name = Path(out).absolute().name
        chosen = detector if isinstance(detector, str | Mapping) else None
        record = {"images": found.images, "mean": found.mean, "std": found.std}
        # First, so that an interrupted save can be repeated.
        write_json(Path(out, RECORD), {"detector": chosen, "pipeline": named, **record}, indent=1)
        s2m.save_pretrained(out)
    return found


def fit_detector(s2m: S2M, items: Sequence[Item], progress: Progress | None = None) -> FitRun:
    """Fits a pipeline's detector in place.

    Args:
        s2m: The pipeline.
        items: Ordinary images; those that cannot be read are left out.
        progress: Told after every image.

    Raises:
        ConfigError: The pipeline has no detector.
        ImageError: None of the images can be read.
        OodsegError: Scores that cannot be fitted.
    """
    detector = s2m.detector
    if detector is None:
        raise ConfigError("this pipeline has no detector to fit: give it one first")
    s2m.forget_guarantee()
    images = OrdinaryImages(items, s2m, progress or silent)
    try:
        if isinstance(detector, Fittable):
            detector.fit(images)
        else:
            detector.normalizer = ScoreNormalizer.fit(images.scores())
    except OodsegError as error:
        if len(images.failures) < len(items):
            raise
        first = next(iter(images.failures.values()), "there are none")
        raise ImageError(f"none of the {len(items)} images can be read; the first: {first}") from error
    fitted = statistics_of(detector)
    return FitRun(len(items) - len(images.failures), fitted.mean, fitted.std, images.failures)


def fit_to_inputs(s2m: S2M, items: Iterable[Item], most: int = 50) -> str | None:
    """Fits a detector that was never fitted, on a sample of the very images to be predicted.

    Unknown objects cover few of their pixels, so that they stand in for ordinary images, as score maps from
    elsewhere do.

    Args:
        s2m: The pipeline; its detector is fitted in place.
        items: The images to be predicted.
        most: How many of them are enough.

    Returns:
        What was done and what would be better, in one sentence; None where there was nothing to do.

    Raises:
        ConfigError: The images come one by one, so that there is nothing to take a sample of.
        OodsegError: The detector cannot be fitted on them.
    """
    if s2m.detector is None or s2m.detector.fitted:
        return None
    if not isinstance(items, Sequence):
        raise ConfigError(
            "the detector was never fitted: fit it with oodseg.runs.fit on images in which nothing is unknown"
        )
    try:
        found = fit_detector(s2m, spread(items, most))
    except ImageError:
        return None  # no image can be read; each one reports that when its turn comes
    return (
        f"the detector's statistics were fitted on {found.images} of these images, for want of better ones: "
        "fit them once on images in which nothing is unknown, with `oodseg fit`"
    )


def explain_nothing(highest: float | None, fitted_here: bool) -> str:
    """Says, in a sentence, what to look at where nothing at all was found with a detector of one's own.

    Args:
        highest: The highest normalised score in all images, if known.
        fitted_here: Whether the detector was fitted on these very images.
    """
    reach = (
        ""
        if highest is None
        else (
            f", and the scores rise at most {highest:.1f} standard deviations above those of ordinary images"
        )
    )
    if highest is not None and highest >= HIGH:
        remedy = "the prompt generator may not know such scores, so try --operating-point thorough"
    else:
        remedy = f"unknown objects usually reach {HIGH:g}, so see whether they stand out (--save-scores png)"
        if fitted_here:
            remedy += ", and fit the detector on images in which nothing is unknown (`oodseg fit`)"
    return f"nothing was found{reach}: {remedy}"


def spread(values: Sequence[AnyT], limit: int) -> list[AnyT]:
    """Selects at most `limit` of the values, evenly spread, in their order."""
    count = min(limit, len(values))
    return [values[index * len(values) // count] for index in range(count)]


def _check_target(out: Path) -> None:
    """Makes sure that no other files are overwritten."""
    used = any(out.iterdir()) if out.is_dir() else out.exists()
    if used and not (out / RECORD).is_file():
        raise ConfigError(
            f"{out} holds something that `oodseg fit` did not write: choose a new folder with --out"
        )
