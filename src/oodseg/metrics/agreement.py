"""Agreement of estimates with the truth: rank and linear correlation, mean error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_NAN = float("nan")
_BINS, _FEWEST = 10, 10  # bins at most, and images in each at least


def correlation(estimated: F64, true: F64) -> float:
    """Pearson's correlation, -1..1.

    Estimates that never vary say nothing and count 0, where a correlation has no value: else a detector
    could leave its hard classes out of the mean by always saying the same. NaN with fewer than two
    images, or where the truth never varies: then there is nothing to correlate with.
    """
    if true.size < 2 or np.ptp(true) == 0:
        return _NAN
    if np.ptp(estimated) == 0:
        return 0.0
    return float(np.corrcoef(estimated, true)[0, 1])


def rank_correlation(estimated: F64, true: F64) -> float:
    """Spearman's rank correlation: `correlation` of the ranks, where equal values share their mean rank."""
    # scipy.stats takes a second to import, and few figures need it.
    from scipy.stats import rankdata

    return correlation(rankdata(estimated), rankdata(true))


def reliability(estimated: F64, true: F64) -> tuple[F64, F64, F64]:
    """Groups images by their estimate, and takes the means of what was estimated and of what is true.

    Groups are equally large but for ties: ten of them, fewer where these would hold less than ten images.

    Args:
        estimated: Float `[N]`.
        true: Float `[N]`.

    Returns:
        Mean estimate and mean truth of every group, ascending, and the share of images in it: float64 `[G]`
        each.
    """
    groups = max(1, min(_BINS, true.size // _FEWEST))
    edges = np.quantile(estimated, np.arange(1, groups) / groups) if true.size else np.zeros(0)
    group = np.searchsorted(edges, estimated, side="right")
    counts = np.bincount(group, minlength=groups)
    held = counts > 0
    guessed, known = (np.bincount(group, each, groups)[held] / counts[held] for each in (estimated, true))
    return guessed, known, counts[held] / max(true.size, 1)


def calibration_error(estimated: F64, true: F64) -> float:
    """Averages the distance of estimate and truth over groups of like estimates, by their share of images.

    The expected calibration error (Naeini et al., AAAI 2015; for regression, Kuleshov et al., ICML 2018) of
    `reliability`'s groups. Low is easily had by always guessing the mean: look at the order too. NaN without
    an image.
    """
    if true.size == 0:
        return _NAN
    guessed, known, shares = reliability(estimated, true)
    return float(np.abs(guessed - known) @ shares)
