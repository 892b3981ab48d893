"""Intervals and thresholds that keep what they promise, whatever the model behind them.

All of it rests on one assumption: the images of the calibration and the new one are exchangeable, that is,
as likely in any other order. Independent draws from one source are. Frames of one drive used for another
city, another season or another camera are not, and nothing here holds for them.

- Split conformal prediction (Vovk et al. 2005; Lei et al., JASA 2018, arXiv 1604.04173): the new image's
  score is one among N + 1 that are exchangeable, so it exceeds the k-th smallest of the N others in at most
  1 - k / (N + 1) of all cases. `conformal_quantile` takes the k that makes this 1 - level.
- Conformalised quantile regression (Romano et al., NeurIPS 2019, arXiv 1905.03222): the score of an image is
  how far its truth lies outside an interval that some model guessed, so that intervals are wide where the
  model says so.
- Conformal risk control (Angelopoulos et al., ICLR 2024, arXiv 2208.02814): the same for the mean of any
  bounded loss that never rises with a threshold.

An introduction to all three: Angelopoulos and Bates, 2021, arXiv 2107.07511.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def conformal_quantile(scores: NDArray[Any], level: float) -> float:
    """Returns the bound that a new score stays within with probability `level` or more.

    That is the k-th smallest score with k = ceil((N + 1) level), exact for finite N (Lei et al. 2018,
    Theorem 2.2). Without ties the probability is k / (N + 1), so at most 1 / (N + 1) above `level`.

    Args:
        scores: Float `[N]`, exchangeable with the new one; higher = fits worse.
        level: Probability wanted, in 0..1.

    Returns:
        The bound; infinity where N is too small for any: see `images_needed`.

    Raises:
        ValueError: A level outside 0..1, or a score that is NaN.
    """
    _check_share("level", level)
    known = np.sort(np.asarray(scores, np.float64))
    if np.isnan(known).any():
        raise ValueError("a conformal score must be a number: leave out what has no truth")
    # Rounded first: 0.9 * 10 is a hair above 9 in binary.
    rank = math.ceil(round((known.size + 1) * level, 9))
    return float(known[rank - 1]) if rank <= known.size else math.inf


def images_needed(level: float) -> int:
    """Counts the images below which `conformal_quantile` says nothing but infinity: level / (1 - level).

    Raises:
        ValueError: A level outside 0..1.
    """
    _check_share("level", level)
    return math.ceil(round(level / (1 - level), 9))


def outside(low: NDArray[Any], high: NDArray[Any], true: NDArray[Any]) -> F64:
    """Scores of conformalised quantile regression: how far the truth lies outside a guessed interval.

    Negative inside it, by the distance to the nearer end (Romano et al. 2019, Eq. 6). An interval that is
    widened by their `conformal_quantile` at both ends, or narrowed where that is negative, holds the truth of
    a new image with probability `level`.

    Args:
        low: Float `[N]`, lower ends as a model guessed them that has not seen these images.
        high: Float `[N]`, upper ends.
        true: Float `[N]`.
    """
    beyond: F64 = np.maximum(np.asarray(low) - true, np.asarray(true) - high)
    return beyond


def coverage(low: NDArray[Any], high: NDArray[Any], true: NDArray[Any]) -> float:
    """Computes the share of the truths that lie within their intervals, ends included; NaN without any."""
    held = (np.asarray(low) <= true) & (np.asarray(true) <= high)
    return float(held.mean()) if held.size else float("nan")


def controlled(losses: NDArray[Any], target: float, bound: float = 1.0) -> int | None:
    """Chooses the first threshold whose mean loss on a new image is at most `target`.

    The first at which `(sum of losses + bound) / (N + 1) <= target` (Angelopoulos et al. 2024, Eq. 4): the
    new image counts as lost altogether. The mean is over calibration sets and new images alike.

    Args:
        losses: Float `[N, T]` in 0..`bound`: of every calibration image at every threshold, none above the
            one before it in its row. The thresholds must not depend on these images.
        target: The mean loss allowed.
        bound: The largest loss that an image can have.

    Returns:
        Index of the threshold; None if even the last one loses more, or N is below `bound / target - 1`.

    Raises:
        ValueError: Losses that rise, or lie outside their bounds.
    """
    table = np.asarray(losses, np.float64)
    if table.size and (table.min() < 0 or table.max() > bound):
        raise ValueError(f"losses must lie in 0..{bound:g}: {table.min():g} to {table.max():g}")
    if (np.diff(table, axis=1) > 1e-12).any():
        raise ValueError("the loss of an image must never rise with the threshold")
    kept = np.flatnonzero((table.sum(0) + bound) / (len(table) + 1) <= target)
    return int(kept[0]) if kept.size else None


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"the {name} must lie between 0 and 1, got {value}")
