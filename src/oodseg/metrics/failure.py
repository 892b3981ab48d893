"""Measures how well a failure detector locates and quantifies segmentation errors.

Definitions follow SynthCP (Xia et al., ECCV 2020, arXiv 2003.08440):

- Pixels: AUPR-Error takes wrong pixels as positive and the error as score, AUPR-Success takes right pixels
  as positive and the negated error; both and AUROC pool all pixels of all images. FPR95 (wrong pixels
  positive) is measured image by image and averaged over images that hold both kinds.
- Images: a class is measured over the images whose truth holds it. MAE and STD are mean and standard
  deviation of |estimated - true| IoU, Pearson and Spearman correlate the two; then the mean over classes.
  The same at the level of an image's mean IoU. Beside these, the figures that later benchmarks ask for:
  AURC and excess AURC of the risk 1 - true IoU (`oodseg.metrics.risk_coverage`), and the calibration error
  of the estimates (`oodseg.metrics.agreement`).

For volumes IoU reads Dice throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.agreement import calibration_error, correlation, rank_correlation
from oodseg.metrics.bootstrap import interval, resample_weights
from oodseg.metrics.image_means import ImageMeans
from oodseg.metrics.pixel import IGNORE, PixelCurve
from oodseg.metrics.risk_coverage import aurc, excess_aurc

F64 = NDArray[np.float64]
_NAN = float("nan")


@dataclass(frozen=True)
class PixelFailureMetrics:
    """Pixel figures of a set; NaN where the set holds no wrong pixel, or no right one.

    Attributes:
        aupr_error: Area under precision-recall of finding wrong pixels, 0..1; by chance `error_rate`.
        aupr_success: The same of finding right pixels, 0..1; by chance `1 - error_rate`.
        auroc: Area under the ROC curve, ties counted half, 0..1; by chance 0.5.
        fpr95: Share of right pixels that are raised with 95 % of the wrong ones: mean over images, 0..1.
        error_rate: Wrong pixels among all that count, 0..1; NaN of an empty set.
        pixels: Pixels that count.
    """

    aupr_error: float
    aupr_success: float
    auroc: float
    fpr95: float
    error_rate: float
    pixels: int


class FailureCurve:
    """Collects pixels, image by image; memory is bounded as `PixelCurve` bounds it, twice."""

    def __init__(self, exact_limit: int = 1 << 26) -> None:
        """Starts empty; more than `exact_limit` pixels are counted in histograms instead of sorted."""
        self._error, self._success = PixelCurve(exact_limit), PixelCurve(exact_limit)
        self._images = ImageMeans()

    def update(
        self, error: NDArray[Any], wrong: NDArray[np.bool_], ignore: NDArray[np.bool_] | None = None
    ) -> None:
        """Adds one image.

        Args:
            error: Float `[H, W]`, finite, of any range: higher = more likely wrong.
            wrong: Bool `[H, W]`: where the prediction differs from the truth.
            ignore: Bool `[H, W]`: pixels without a truth; None if there are none.

        Raises:
            ValueError: Shapes differ, or an error that counts is not finite.
        """
        wrong = np.asarray(wrong, bool)
        of_errors, of_successes = wrong.astype(np.uint8), (~wrong).astype(np.uint8)
        if ignore is not None:
            of_errors[ignore] = of_successes[ignore] = IGNORE
        self._error.update(error, of_errors)
        self._success.update(-1.0 * np.asarray(error), of_successes)
        self._images.update(error, of_errors)

    def compute(self) -> PixelFailureMetrics:
        """Returns the figures of everything added so far."""
        error, success = self._error.compute(), self._success.compute()
        pixels = error.positives + error.negatives
        return PixelFailureMetrics(
            aupr_error=error.auprc,
            aupr_success=success.auprc,
            auroc=error.auroc,
            fpr95=self._images.compute()["fpr95_image_mean"],
            error_rate=error.positives / pixels if pixels else _NAN,
            pixels=pixels,
        )


def pixel_failure_metrics(
    error: Iterable[NDArray[Any]],
    wrong: Iterable[NDArray[np.bool_]],
    ignore: Iterable[NDArray[np.bool_]] | None = None,
) -> PixelFailureMetrics:
    """Computes the pixel figures of a set; arguments as in `FailureCurve.update`, one item per image."""
    curve = FailureCurve()
    if ignore is None:
        for one, where in zip(error, wrong, strict=True):
            curve.update(one, where)
    else:
        for one, where, left_out in zip(error, wrong, ignore, strict=True):
            curve.update(one, where, left_out)
    return curve.compute()


@dataclass(frozen=True)
class ImageFailureMetrics:
    """Image-level figures of a set; those named `mean_...` are of the images' mean IoU.

    Attributes:
        mae: Mean over classes of the mean |estimated - true|, 0..1.
        std: Mean over classes of the standard deviation of |estimated - true|, 0..1.
        pearson: Mean over classes of Pearson's correlation, -1..1.
        spearman: Mean over classes of Spearman's rank correlation, -1..1.
        aurc: Mean over classes of the area under the risk-coverage curve, 0..1; low is good.
        excess_aurc: Mean over classes of what of it a perfect order would have spared, 0..1.
        calibration_error: Mean over classes of the calibration error, 0..1.
        mean_mae: Mean |estimated - true|.
        mean_pearson: Pearson's correlation of estimated and true.
        mean_spearman: Spearman's rank correlation.
        mean_aurc: Area under the risk-coverage curve.
        mean_excess_aurc: What of it a perfect order would have spared.
        mean_calibration_error: Calibration error.
        by_class: The first seven figures by name, float64 `[C]` each; NaN of a class that no image holds, and
            where `correlation` is not defined.
        images: Images with at least one class.
    """

    mae: float
    std: float
    pearson: float
    spearman: float
    aurc: float
    excess_aurc: float
    calibration_error: float
    mean_mae: float
    mean_pearson: float
    mean_spearman: float
    mean_aurc: float
    mean_excess_aurc: float
    mean_calibration_error: float
    by_class: Mapping[str, F64]
    images: int


_FIGURES: dict[str, Callable[[F64, F64], float]] = {
    "mae": lambda guess, true: float(np.abs(guess - true).mean()) if true.size else _NAN,
    "std": lambda guess, true: float(np.abs(guess - true).std()) if true.size else _NAN,
    "pearson": correlation,
    "spearman": rank_correlation,
    "aurc": lambda guess, true: aurc(guess, 1 - true),
    "excess_aurc": lambda guess, true: excess_aurc(guess, 1 - true),
    "calibration_error": calibration_error,
}


def image_failure_metrics(
    estimated: NDArray[Any], true: NDArray[Any], estimated_mean: NDArray[Any] | None = None
) -> ImageFailureMetrics:
    """Compares estimated with true IoU, class by class and image by image.

    Args:
        estimated: Float `[N, C]` in 0..1, as `Assessment.class_quality` gives it: NaN where a class is not
            predicted. Where the truth holds it all the same, its IoU is 0 for certain, and 0 is taken.
        true: Float `[N, C]` in 0..1 as `image_iou` gives it: NaN where the truth lacks the class.
        estimated_mean: Float `[N]` as `Assessment.mean_quality` gives it; None for the mean of the predicted
            classes.

    Raises:
        ValueError: Shapes differ.
    """
    guess, truth = np.asarray(estimated, np.float64), np.asarray(true, np.float64)
    if guess.shape != truth.shape or guess.ndim != 2:
        raise ValueError(f"estimated and true must both be [N, C]: {guess.shape} and {truth.shape}")
    means = _mean_of_known(guess, 1) if estimated_mean is None else np.asarray(estimated_mean, np.float64)
    if means.shape != guess.shape[:1]:
        raise ValueError(f"estimated_mean must be [N]: {means.shape} for {guess.shape[0]} images")
    guess = np.nan_to_num(guess, nan=0.0)
    held = ~np.isnan(truth).T
    pairs = [(guess[rows, k], truth[rows, k]) for k, rows in enumerate(held)]
    by_class = {
        name: np.array([figure(*pair) for pair in pairs], np.float64) for name, figure in _FIGURES.items()
    }
    true_means = _mean_of_known(truth, 1)
    usable = ~np.isnan(true_means)
    guessed, known = np.nan_to_num(means[usable], nan=0.0), true_means[usable]
    over_classes = {name: float(_mean_of_known(values)) for name, values in by_class.items()}
    of_means = {f"mean_{name}": figure(guessed, known) for name, figure in _FIGURES.items() if name != "std"}
    return ImageFailureMetrics(**over_classes, **of_means, by_class=by_class, images=int(usable.sum()))


def image_failure_intervals(
    estimated: NDArray[Any],
    true: NDArray[Any],
    estimated_mean: NDArray[Any] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Computes 95 % bootstrap intervals over images of every figure of `image_failure_metrics`, by name.

    Args:
        estimated: As there, and the next two likewise.
        true: As there.
        estimated_mean: As there.
        resamples: Number of resampled sets.
        seed: Same seed, same sets.

    Raises:
        ValueError: Shapes differ, or there is no image.
    """
    guess, truth = np.asarray(estimated), np.asarray(true)
    means = None if estimated_mean is None else np.asarray(estimated_mean)
    drawn = []
    for weights in resample_weights(len(truth), resamples, seed):
        rows = np.repeat(np.arange(len(truth)), weights.astype(np.int64))
        drawn.append(image_failure_metrics(guess[rows], truth[rows], None if means is None else means[rows]))
    names = [each.name for each in fields(ImageFailureMetrics) if each.name not in {"by_class", "images"}]
    return {name: interval(np.array([vars(each)[name] for each in drawn])) for name in names}


def image_iou(
    labels: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], classes: int, ignore: int = 255
) -> F64:
    """Computes the true IoU of every class in one image.

    Args:
        labels: Integers `[H, W]`: the prediction.
        truth: Integers `[H, W]`: the truth.
        classes: Number of classes C; truth outside 0..C-1 does not count.
        ignore: Code of pixels without a truth.

    Returns:
        Float64 `[C]` in 0..1; NaN where the truth lacks the class, as SynthCP leaves those out.

    Raises:
        ValueError: Shapes differ.
    """
    both, predicted, real = _counts(labels, truth, classes, ignore)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(real > 0, both / (predicted + real - both), _NAN)


def image_dice(
    labels: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], classes: int, ignore: int = 255
) -> F64:
    """Computes the true Dice of every class in one slice or volume; arguments and NaN as in `image_iou`."""
    both, predicted, real = _counts(labels, truth, classes, ignore)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(real > 0, 2 * both / (predicted + real), _NAN)


def _counts(
    labels: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], classes: int, ignore: int
) -> tuple[F64, F64, F64]:
    """Pixels that agree, that are predicted, and that are true, float64 `[C]` each."""
    if labels.shape != truth.shape:
        raise ValueError(f"labels and truth differ in shape: {labels.shape} and {truth.shape}")
    counts = (truth != ignore) & (truth >= 0) & (truth < classes)
    one, other = labels[counts].astype(np.int64), truth[counts].astype(np.int64)

    def count(values: NDArray[np.int64]) -> F64:
        return np.bincount(values, minlength=classes)[:classes].astype(np.float64)

    return count(one[one == other]), count(one), count(other)


def _mean_of_known(values: F64, axis: int | None = None) -> F64:
    """Mean without NaN; NaN where there is nothing else, without numpy's warning."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / known.sum(axis), np.float64)
