"""Measures one method over one set in two passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import OodsegError
from oodseg.core.input_warnings import warn_input
from oodseg.core.progress import Progress
from oodseg.data import Frame
from oodseg.evaluation.groups import by_group
from oodseg.evaluation.labels import Labels
from oodseg.evaluation.results import Curves, Figure, ImageRecord, MethodResult
from oodseg.evaluation.sources import Objects, Source
from oodseg.metrics.binned_pixels import BinnedPixels
from oodseg.metrics.bootstrap import interval, measurable
from oodseg.metrics.components import ComponentCounter, MinimumSizes
from oodseg.metrics.instances import InstanceCounter
from oodseg.metrics.pixel import ANOMALY, F64, PixelCurve, PixelMetrics, Scores, cut
from oodseg.metrics.s2m import PRESETS, S2MCurve, ScoreExtremes

BINS = 50
_REVERSED = 0.4  # an AUROC below this is no chance of a poor score


class _Histogram:
    """Counts of 0..1 scores by class, int64 `[2, BINS]`: in-distribution, anomalous."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, BINS), np.int64)

    def update(self, score: Scores, label: NDArray[np.uint8]) -> None:
        bins = np.minimum((score * BINS).astype(np.int64), BINS - 1)
        for row in (0, ANOMALY):
            self.counts[row] += np.bincount(bins[label == row], minlength=BINS)

    def shares(self) -> F64:
        return np.asarray(self.counts / np.maximum(1, self.counts.sum(1, keepdims=True)), np.float64)


def measure(
    source: Source,
    kind: str,
    frames: Sequence[Frame],
    labels: Labels,
    sizes: MinimumSizes,
    weights: F64,
    progress: Progress,
) -> tuple[MethodResult, ScoreExtremes]:
    """Measures one row.

    Args:
        source: Where its maps and objects come from.
        kind: `prompts`, `score` or `components`.
        frames: Labelled frames.
        labels: Their labels.
        sizes: The track's minimum component sizes.
        weights: Bootstrap resamples, float64 `[B, frames]`.
        progress: Called as `progress(stage, done, total)`.

    Returns:
        The row, and the set's score extremes.
    """
    curve, extremes = PixelCurve(), ScoreExtremes()
    total = 2 * len(frames)
    for index, frame in enumerate(frames):
        label = labels[index]
        scores = source.score(index, label.shape)
        with _named(frame):
            curve.update(scores, label)
        extremes.update(scores)
        progress(source.name, index + 1, total)

    counters = _Counters(curve, kind, sizes)
    if kind == "score" and counters.pixel.auroc < _REVERSED:
        warn_input(
            f"the scores '{source.name}' are lower on anomalies than elsewhere (AUROC "
            f"{100 * counters.pixel.auroc:.0f} %): higher must mean more anomalous, so negate likelihoods "
            "and confidences"
        )
    for index, frame in enumerate(frames):
        label = labels[index]
        scores = source.score(index, label.shape)
        confidence = scores if source.bounded else extremes.normalize(scores)
        with _named(frame):
            counters.update(scores, confidence, source.objects(index, label.shape), label)
        progress(source.name, len(frames) + index + 1, total)
    records = counters.records([frame.name for frame in frames])
    row = MethodResult(
        name=source.name,
        kind=kind,
        figures=counters.figures(weights),
        threshold=counters.pixel.threshold,
        best_thresholds={preset: counters.s2m.compute(preset).best_threshold for preset in PRESETS},
        extremes=None if source.bounded else (extremes.low, extremes.high),
        by_size=counters.by_size(),
        curves=counters.curves(curve),
        images=records,
        notes=_notes(counters.pixel, records, kind, counters.measurable(weights)),
        by_group=by_group(frames, records),
    )
    return row, extremes


class _Counters:
    """Everything the second pass collects about one row."""

    def __init__(self, curve: PixelCurve, kind: str, sizes: MinimumSizes) -> None:
        self.pixel = curve.compute()
        self.s2m = S2MCurve()
        self._kind = kind
        self._binned, self._histogram = BinnedPixels(curve.bin_edges()), _Histogram()
        self._components, self._free = ComponentCounter(sizes), ComponentCounter(sizes)
        self._instances: InstanceCounter | None = None
        self._counts: list[tuple[int | None, int | None, int]] = []
        self._ordinary: list[int] = []

    def update(
        self,
        scores: Scores,
        confidence: NDArray[np.float32],
        objects: Objects | None,
        label: NDArray[np.uint8],
    ) -> None:
        self.s2m.update(confidence, label)
        self._binned.update(scores, label)
        self._histogram.update(confidence, label)
        self._components.update(cut(scores, self.pixel.threshold), label)
        boxes = alarms = None
        if objects is not None:
            self._instances = self._instances or InstanceCounter()
            boxes, alarms = len(objects[0]), self._instances.update(*objects, label)
            if self._kind == "prompts":
                self._free.update(scores > 0, label)
        self._counts.append((boxes, alarms, int(np.count_nonzero(label == ANOMALY))))
        self._ordinary.append(int(np.count_nonzero(label == 0)))

    def measurable(self, weights: F64) -> NDArray[np.bool_]:
        """Tells which resampled sets hold both anomalous and ordinary pixels, bool `[B]`."""
        anomalous = [float(anomaly_pixels) for _, _, anomaly_pixels in self._counts]
        return measurable(weights, np.array(anomalous), np.array(self._ordinary, np.float64))

    def figures(self, weights: F64) -> dict[str, dict[str, Figure]]:
        spread = self._binned.resample(weights)
        figures = {"pixel": _with_intervals(self.pixel, spread)}
        for preset in PRESETS:
            found, spread = self.s2m.compute(preset), self.s2m.resample(weights, preset)
            figures[f"s2m_{preset}"] = _with_intervals(found, spread)
        counters = {"components": self._components}
        if self._kind == "prompts":
            counters["components_threshold_free"] = self._free
        for family, counter in counters.items():
            spread = counter.resample(weights)
            figures[family] = _with_intervals(counter.compute(), spread)
        if self._instances is not None:
            spread = self._instances.resample(weights)
            figures["instances"] = _with_intervals(self._instances.compute(), spread)
        return figures

    def by_size(self) -> dict[str, tuple[int, int, float]]:
        if self._instances is None:
            return {}
        sizes = self._instances.compute().by_size
        return {name: (size.objects, size.found, size.covered) for name, size in sizes.items()}

    def curves(self, curve: PixelCurve) -> Curves:
        presets = {preset: self.s2m.compute(preset) for preset in PRESETS}
        recall, precision = curve.precision_recall()
        shares = self._histogram.shares()
        return Curves(
            presets["code"].thresholds,
            {preset: found.iou for preset, found in presets.items()},
            {preset: found.f1 for preset, found in presets.items()},
            recall,
            precision,
            *curve.roc(),
            np.linspace(0, 1, BINS + 1),
            shares[0],
            shares[1],
        )

    def records(self, names: Sequence[str]) -> list[ImageRecord]:
        own = {name: values.tolist() for name, values in self.s2m.per_image().items()}
        return [
            ImageRecord(
                name, own["auiou"][i], own["iou_threshold_free"][i], own["mean_f1"][i], *self._counts[i]
            )
            for i, name in enumerate(names)
        ]


def _with_intervals(found: object, spread: Mapping[str, F64]) -> dict[str, Figure]:
    """Reads the resampled figures off a result by name, each with its interval; undefined ones have none."""
    values = {name: float(getattr(found, name)) for name in spread}
    return {
        name: Figure(value) if math.isnan(value) else Figure(value, *interval(spread[name]))
        for name, value in values.items()
    }


def _notes(
    pixel: PixelMetrics, records: Sequence[ImageRecord], kind: str, drawn: NDArray[np.bool_]
) -> list[str]:
    notes, frames = [], len(records)
    empty = sum(not record.anomaly_pixels for record in records)
    if kind == "components":
        notes.append(
            "'+ components' cuts its score at the best-F1 threshold of this very set, all figures included"
        )
    if not pixel.positives and not pixel.negatives:
        notes.append("no pixel counts (the labels hold ignore alone), so the figures are undefined")
    elif not pixel.positives:
        notes.append("no image holds an anomaly: only false alarms can be measured")
    elif not pixel.negatives:
        notes.append(
            "no in-distribution pixel counts (the labels hold anomaly and ignore alone): there is nothing to "
            "tell anomalies from, so the figures are undefined"
        )
    else:
        if empty:
            notes.append(
                f"{empty} of {frames} images hold no anomaly: the preset code counts each of them as 0"
            )
        if not drawn.all():
            notes.append(
                f"{np.count_nonzero(~drawn)} of {drawn.size} resamples hold no anomaly or nothing else: the "
                "intervals are those of the others"
            )
    if not pixel.exact:
        notes.append(
            f"too many pixels to sort: AuPRC comes from a histogram, off by at most {pixel.auprc_error:.2g}"
        )
    if frames < 20:
        notes.append(f"only {frames} images: one of them moves the figures much, see the intervals")
    return notes


class _named:
    """Names the frame in a metric's complaint."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError):
            raise OodsegError(f"'{self._frame.name}' cannot be measured: {error}") from error
