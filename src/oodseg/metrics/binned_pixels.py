"""Pixel figures of resampled sets, from one small histogram per image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.pixel import F64, I64, TPR, Scores, split


class BinnedPixels:
    """Keeps a small histogram per image, from which any resampling of the images can be scored.

    Meant for the second pass over a set, with the edges that `PixelCurve.bin_edges` chose in the first:
    between two of them lie at most about 1/512 of the pixels of either class, unless these share one score.
    """

    def __init__(self, edges: Scores) -> None:
        """Starts empty; `edges` float `[E]` ascending, a bin reaching from one edge to the next."""
        self.edges = edges
        self._rows: list[I64] = []

    def update(self, score: NDArray[Any], label: NDArray[np.uint8]) -> None:
        """Adds one image; arguments as in `PixelCurve.update`."""
        positive, negative = split(score, label)
        self._rows.append(np.stack([self._counts(values) for values in (negative, positive)]))

    def _counts(self, values: Scores) -> I64:
        # Sorting and looking up the few edges takes a fraction of looking up every pixel.
        values.sort()
        below = np.searchsorted(values, self.edges, side="left")
        return np.diff(below, prepend=0, append=values.size)

    def resample(self, weights: F64) -> dict[str, F64]:
        """Scores resampled sets.

        Args:
            weights: Float64 `[B, images]`, how often each image is in each resampled set.

        Returns:
            `auprc`, `fpr95`, `auroc` and `best_f1`, float64 `[B]` each; NaN where a resampled set holds no
            anomaly or nothing else.
        """
        table = np.stack(self._rows)[:, :, ::-1].astype(np.float64)
        here_fp, here_tp = weights @ table[:, 0], weights @ table[:, 1]
        tp, fp = np.cumsum(here_tp, 1), np.cumsum(here_fp, 1)
        positives, negatives = tp[:, -1:], fp[:, -1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
            auprc = (here_tp * precision).sum(1) / positives[:, 0]
            first = np.argmax(tp >= TPR * positives, axis=1)
            fpr95 = np.take_along_axis(fp, first[:, None], 1)[:, 0] / negatives[:, 0]
            auroc = (here_tp * (negatives - fp + 0.5 * here_fp)).sum(1) / (positives * negatives)[:, 0]
            best_f1 = (2 * tp / (tp + fp + positives)).max(1)
        defined = (positives > 0)[:, 0] & (negatives > 0)[:, 0]
        figures = {"auprc": auprc, "fpr95": fpr95, "auroc": auroc, "best_f1": best_f1}
        return {name: np.where(defined, values, np.nan) for name, values in figures.items()}

    def totals(self) -> I64:
        """Returns int64 `[2, E + 1]`: in-distribution and anomalous pixels per bin over the set."""
        return np.asarray(np.sum(self._rows, axis=0), np.int64)
