"""Fits the intervals of a failure detector on labelled images that it has never seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.core.intervals import QualityIntervals
from oodseg.core.parts import Judge
from oodseg.core.taxonomy import BACKGROUND
from oodseg.io.images import to_tensor
from oodseg.metrics.conformal import conformal_quantile, images_needed
from oodseg.metrics.failure import image_dice, image_iou

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
_SHARE = 1 / 3  # of the images: the lines are fitted on these, the bound on the others
_FEWEST = 5  # images that the two lines want at least
# Ridge penalties of the two lines, in images' worth of evidence: sizes of errors are noisy.
_PULL_CENTRE, _PULL_SPREAD = 3.0, 30.0


@dataclass(frozen=True)
class JudgedImages:
    """Holds the estimates of a judge for labelled images, and the truth.

    Attributes:
        mean: Estimated mean quality, float64 `[N]`.
        wrong: Expected share of wrong pixels, float64 `[N]`.
        true: True mean quality, float64 `[N]` in 0..1.
    """

    mean: F64
    wrong: F64
    true: F64

    def __len__(self) -> int:
        return len(self.true)

    def take(self, rows: NDArray[np.integer[Any]]) -> JudgedImages:
        """Returns some of the images."""
        return JudgedImages(self.mean[rows], self.wrong[rows], self.true[rows])

    def intervals(self, fitted: QualityIntervals) -> tuple[F64, F64]:
        """Returns the lower and the upper end of every image's interval, float64 `[N]` each."""
        ends = [fitted.around(*each) or (0.0, 1.0) for each in zip(self.mean, self.wrong, strict=True)]
        low, high = np.array(ends, np.float64).reshape(-1, 2).T
        return low, high


def judge_labelled(
    judge: Judge,
    images: Iterable[tuple[U8, U8]],
    quality: str = "IoU",
    told: Callable[[], None] | None = None,
) -> JudgedImages:
    """Runs a judge over labelled images.

    Args:
        judge: The failure detector, which judges its own segmenter.
        images: Image uint8 `[H, W, 3]`, RGB, and its truth uint8 `[H, W]`: 0..C-1, all else does not count.
        quality: `"IoU"` or `"Dice"`: whose mean over the classes in the truth counts, background left out.
        told: Called after every image.

    Returns:
        The images in which a class is true and a mean is estimated.
    """
    measure = image_dice if quality == "Dice" else image_iou
    things = [k for k, name in enumerate(judge.classes) if name != BACKGROUND]
    rows = []
    for image, truth in images:
        found = judge.assess(to_tensor(image))
        true = measure(found.labels, truth, len(judge.classes))[things]
        if not (np.isnan(true).all() or math.isnan(found.mean_quality)):
            rows.append((found.mean_quality, float(found.error.mean()), float(np.nanmean(true))))
        if told is not None:
            told()
    mean, wrong, truths = np.array(rows, np.float64).reshape(-1, 3).T
    return JudgedImages(mean, wrong, truths)


def fit_intervals(
    judged: JudgedImages, level: float = 0.9, quality: str = "IoU", data: str = "", seed: int = 0
) -> QualityIntervals:
    """Fits locally weighted split conformal intervals (Lei et al., JASA 2018, Algorithm 2 and Sec. 5.2).

    A third of the images, drawn at random, says where the truth lies and how far off the judge is; the others
    say how many times that an interval must reach to hold their truths.

    Args:
        judged: Labelled images as the judge sees them; it learned nothing on any of them.
        level: Probability that an interval is to hold the truth of a new image, in 0..1.
        quality: What the mean is of: `"IoU"` or `"Dice"`.
        data: What the images are, for people.
        seed: Of the draw.

    Raises:
        ConfigError: Too few images for the level, or one that is no probability.
    """
    if not 0 < level < 1:
        raise ConfigError(f"the level of an interval must lie between 0 and 1, not at {level}: 0.9 is usual")
    count = len(judged)
    order = np.random.default_rng(seed).permutation(count)
    first = judged.take(order[: round(_SHARE * count)])
    rest = judged.take(order[round(_SHARE * count) :])
    if len(rest) < images_needed(level) or len(first) < _FEWEST:
        least = max(math.ceil(images_needed(level) / (1 - _SHARE)) + 1, math.ceil(_FEWEST / _SHARE))
        raise ConfigError(
            f"{count} labelled images are too few for intervals at {100 * level:.0f} %: give at least {least}"
        )
    centre = _ridge(first, first.true, _PULL_CENTRE)
    gaps = np.abs(first.true - _on(centre, first))
    least_spread = max(float(gaps.mean()) / 2, 1e-3)
    spread = _ridge(first, gaps, _PULL_SPREAD)
    reach = np.abs(rest.true - _on(centre, rest)) / np.maximum(least_spread, _on(spread, rest))
    bound = conformal_quantile(reach, level)
    return QualityIntervals(level, centre, spread, least_spread, bound, quality, len(rest), data)


def _evidence(judged: JudgedImages) -> F64:
    return np.stack([judged.mean, judged.wrong], 1)


def _ridge(judged: JudgedImages, target: F64, pull: float) -> tuple[float, ...]:
    """Constant and slopes of a ridge regression on the standardised evidence."""
    evidence = _evidence(judged)
    middle, scale = evidence.mean(0), evidence.std(0) + 1e-9
    columns = (evidence - middle) / scale
    square = columns.T @ columns + pull * np.eye(columns.shape[1])
    slopes = np.linalg.solve(square, columns.T @ (target - target.mean())) / scale
    return float(target.mean() - middle @ slopes), *map(float, slopes)


def _on(line: tuple[float, ...], judged: JudgedImages) -> F64:
    values: F64 = line[0] + _evidence(judged) @ np.array(line[1:])
    return values
