"""The S2M family of figures: IoU and F1 of the anomaly class against the threshold on a 0..1 map.

Source: Zhao et al., "Segment Every Out-of-Distribution Object", CVPR 2024, arXiv 2311.16516 (Eq. 8 to 10).
The paper's formulas and its released code are two different quantities, so there are two presets:

- `code`, which the published tables hold: thresholds 0, 0.01 … 1 (101), mask = map > t, IoU and Dice a
  image, averaged over images; an empty union counts 0; ignored pixels stay, and a prediction there
  is false; AuIoU is the trapezoid over 0..1, mean F1 the plain mean of the mean Dice.
- `paper`: counts pooled over the set, thresholds 0, 0.01 … 0.99 (100), ignored pixels removed; AuIoU and
  mean F1 are sums times 0.01.

IoU comes in two kinds: *best-threshold* (the maximum over t, what the paper's Table 1 prints) and
*threshold-free* (map > 0, every prompt kept). These are pixel counts; SMIYC's mean F1 is another quantity.

A threshold is rounded to float32 before the comparison, as numpy does for `map > 0.35` on a float32 map, so
a confidence never exceeds a threshold that prints like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.bootstrap import measurable
from oodseg.metrics.pixel import ANOMALY, F64, I64, IGNORE

Preset = Literal["code", "paper"]
PRESETS: tuple[Preset, ...] = ("code", "paper")
THRESHOLDS: F64 = np.arange(101) / 100.0
_T32 = THRESHOLDS.astype(np.float32)
_STEPS = THRESHOLDS.size


@dataclass(frozen=True)
class S2MMetrics:
    """One preset's figures, all 0..1; NaN where the set holds no anomaly or no in-distribution pixel.

    Attributes:
        preset: `code` or `paper`.
        auiou: Area under the IoU-threshold curve.
        iou_best: IoU at the best threshold.
        best_threshold: That threshold.
        iou_threshold_free: IoU of map > 0: every prompt kept.
        mean_f1: Mean F1 (Dice) over thresholds.
        thresholds: Float64 `[T]`.
        iou: IoU at each threshold, float64 `[T]`.
        f1: F1 at each threshold, float64 `[T]`.
    """

    preset: Preset
    auiou: float
    iou_best: float
    best_threshold: float
    iou_threshold_free: float
    mean_f1: float
    thresholds: F64
    iou: F64
    f1: F64


class ScoreExtremes:
    """Smallest and largest score of a whole set, for the baselines' min-max normalisation (Eq. 8)."""

    def __init__(self) -> None:
        """Starts empty."""
        self.low = float("inf")
        self.high = float("-inf")

    def update(self, score: NDArray[Any]) -> None:
        """Adds one score map of any shape."""
        self.low = min(self.low, float(score.min()))
        self.high = max(self.high, float(score.max()))

    def normalize(self, score: NDArray[Any]) -> NDArray[np.float32]:
        """Maps a score map to float32 0..1 with the set's extremes; a constant set becomes 0."""
        half = self.high / 2 - self.low / 2  # the whole may be beyond every float
        if not half > 0:
            return np.zeros(score.shape, np.float32)
        scaled: NDArray[np.float32]
        most = float(np.finfo(np.float32).max)
        if score.dtype != np.float64 and 0.5 / most <= half <= most / 2:
            span = self.high - self.low
            scaled = (score.astype(np.float32) - np.float32(self.low)) * np.float32(1.0 / span)
        else:  # 32 bits hold neither the inverse of a subnormal span, nor all the digits of such scores
            scaled = ((score.astype(np.float64) / 2 - self.low / 2) / half).astype(np.float32)
        return np.clip(scaled, 0.0, 1.0, out=scaled)


class S2MCurve:
    """Collects counts image by image; both presets come from the same counts.

    Memory is 2.4 kB an image, kept for per-image means and resampling.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self._found: list[I64] = []
        self._false: list[I64] = []
        self._ignored: list[I64] = []
        self._anomalous: list[int] = []
        self._ordinary: list[int] = []

    def __len__(self) -> int:
        """Number of images so far."""
        return len(self._anomalous)

    def update(self, confidence: NDArray[Any], label: NDArray[np.uint8]) -> None:
        """Adds one image.

        Args:
            confidence: Float `[H, W]` in 0..1 (S2M's confidence map, or a score through `ScoreExtremes`).
            label: uint8 `[H, W]`: 0 in-distribution, 1 anomaly, 255 ignored.

        Raises:
            ValueError: Shapes differ, or values lie outside 0..1.
        """
        if confidence.shape != label.shape:
            raise ValueError(f"map and label differ in shape: {confidence.shape} and {label.shape}")
        values = confidence.astype(np.float32, copy=False).ravel()
        if values.size and not (values.min() >= 0.0 and values.max() <= 1.0):
            raise ValueError("the map must lie in 0..1; normalise scores with ScoreExtremes first")
        flat = label.ravel()
        shown = np.flatnonzero(values)
        kinds, values = flat[shown], values[shown]
        found, ignored = kinds == ANOMALY, kinds == IGNORE
        self._false.append(_above(values[~found & ~ignored]))
        self._found.append(_above(values[found]))
        self._ignored.append(_above(values[ignored]))
        self._anomalous.append(int(np.count_nonzero(flat == ANOMALY)))
        self._ordinary.append(int(np.count_nonzero(flat == 0)))

    def compute(self, preset: Preset = "code") -> S2MMetrics:
        """Returns the figures of everything added so far."""
        iou, f1 = (curve[0] for curve in self._curves(preset, np.ones((1, len(self)))))
        auiou, mean_f1 = _areas(iou[None], f1[None], preset)
        best = int(np.argmax(iou))
        return S2MMetrics(
            preset,
            float(auiou[0]),
            float(iou[best]),
            float(THRESHOLDS[best]) if np.isfinite(iou[best]) else float("nan"),
            float(iou[0]),
            float(mean_f1[0]),
            THRESHOLDS[: iou.size],
            iou,
            f1,
        )

    def resample(self, weights: F64, preset: Preset = "code") -> dict[str, F64]:
        """Scores resampled sets.

        Args:
            weights: Float64 `[B, images]`, how often each image is in each resampled set.
            preset: `code` or `paper`.

        Returns:
            `auiou`, `iou_best`, `iou_threshold_free` and `mean_f1`, float64 `[B]` each; NaN as in
            `S2MMetrics`.
        """
        iou, f1 = self._curves(preset, weights)
        auiou, mean_f1 = _areas(iou, f1, preset)
        return {
            "auiou": auiou,
            "iou_best": iou.max(1),
            "iou_threshold_free": iou[:, 0],
            "mean_f1": mean_f1,
        }

    def per_image(self) -> dict[str, F64]:
        """Returns each image's `auiou`, `iou_threshold_free`, `mean_f1`, `[images]`.

        They are what the preset `code` averages: an image without an anomaly counts 0.
        """
        iou, f1 = self._overlaps("code", np.eye(len(self)))
        auiou, mean_f1 = _areas(iou, f1, "code")
        return {"auiou": auiou, "iou_threshold_free": iou[:, 0], "mean_f1": mean_f1}

    def _curves(self, preset: Preset, weights: F64) -> tuple[F64, F64]:
        """IoU and F1 at each threshold, float64 `[B, T]` each; NaN where a set cannot be measured."""
        iou, f1 = self._overlaps(preset, weights)
        counts = np.array(self._anomalous, np.float64), np.array(self._ordinary, np.float64)
        undefined = ~measurable(weights, *counts)
        iou[undefined] = f1[undefined] = np.nan
        return iou, f1

    def _overlaps(self, preset: Preset, weights: F64) -> tuple[F64, F64]:
        """IoU and F1 at each threshold, float64 `[B, T]` each."""
        found, false = np.stack(self._found).astype(float), np.stack(self._false).astype(float)
        anomalous = np.array(self._anomalous, float)[:, None]
        if preset == "code":
            false = false + np.stack(self._ignored)
            share = weights / weights.sum(1, keepdims=True)
            return (
                share @ _ratio(found, anomalous + false),
                share @ _ratio(2 * found, anomalous + found + false),
            )
        found, false, anomalous = weights @ found, weights @ false, weights @ anomalous
        last = _STEPS - 1
        iou, f1 = _ratio(found, anomalous + false), _ratio(2 * found, anomalous + found + false)
        return iou[:, :last], f1[:, :last]


def _ratio(top: F64, bottom: F64) -> F64:
    """Divides; an empty union counts 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)


def _areas(iou: F64, f1: F64, preset: Preset) -> tuple[F64, F64]:
    """AuIoU and mean F1 of curves `[B, T]`; the paper preset's sums times 0.01 are plain means."""
    if preset == "code":
        return (iou.sum(1) - 0.5 * (iou[:, 0] + iou[:, -1])) / (_STEPS - 1), f1.mean(1)
    return iou.mean(1), f1.mean(1)


def _above(values: NDArray[np.float32]) -> I64:
    """Counts the values above each of the thresholds, int64 `[T]`."""
    # Sorting and looking up the thresholds takes a fraction of looking up every pixel.
    values.sort()
    return np.asarray(values.size - np.searchsorted(values, _T32, side="right"), np.int64)
