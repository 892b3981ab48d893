"""Estimated beside true qualities, where a run's images have a truth: figures and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from oodseg.metrics.failure import ImageFailureMetrics, image_failure_intervals, image_failure_metrics
from oodseg.metrics.risk_coverage import aurc, risk_coverage, risk_coverage_band
from oodseg.report.charts import COLOURS, Bars, Line, bar_chart, line_chart

F64 = NDArray[np.float64]
_FEWEST = 3  # a curve of two points says no more than two numbers do
_RESAMPLES = 500


@dataclass(frozen=True)
class MeasuredEstimates:
    """Holds what a failure detector estimated of images, and what is true.

    Attributes:
        classes: Names of the C classes, background left out.
        estimated: Float64 `[N, C]` in 0..1; NaN where a class is not predicted.
        true: Float64 `[N, C]` in 0..1; NaN where the truth lacks the class.
        means: Float64 `[N]`: estimated means.
        measure: What the qualities are: `"IoU"` or `"Dice"`.
        without: Images of the run that have no truth.
    """

    classes: tuple[str, ...]
    estimated: F64
    true: F64
    means: F64
    measure: str
    without: int

    @cached_property
    def figures(self) -> ImageFailureMetrics:
        """Figures of the estimates; see `ImageFailureMetrics`, with Dice in the place of IoU for slices."""
        return image_failure_metrics(self.estimated, self.true, self.means)

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of the figures, over images."""
        return image_failure_intervals(self.estimated, self.true, self.means, _RESAMPLES)

    def document(self) -> dict[str, Any]:
        """Lists all figures and intervals, JSON-able: None where a figure is not defined."""
        names = [each.name for each in fields(ImageFailureMetrics) if each.name not in {"by_class", "images"}]
        by_class = {
            figure: dict(zip(self.classes, map(_number, values), strict=True))
            for figure, values in self.figures.by_class.items()
        }
        return {
            "images": self.figures.images,
            "without_truth": self.without,
            "measure": self.measure,
            "figures": {name: _number(vars(self.figures)[name]) for name in names},
            "intervals_95": {name: [*map(_number, self.intervals[name])] for name in names},
            "by_class": by_class,
        }

    def facts(self) -> list[tuple[str, str]]:
        """Lists names and values for a person."""

        def said(name: str) -> str:
            low, high = self.intervals[name]
            return f"{vars(self.figures)[name]:.3f} (95 %: {low:.3f} to {high:.3f})"

        return [
            ("images with a truth", str(self.figures.images)),
            (f"Pearson of estimated and true mean {self.measure}", said("mean_pearson")),
            ("mean absolute error", said("mean_mae")),
            ("area under risk-coverage", said("mean_aurc")),
        ]

    def charts(self) -> list[Markup]:
        """Draws risk-coverage curves, over the images and by class, and the areas under them."""
        true_means = _row_means(self.true)
        known = ~np.isnan(true_means)
        if known.sum() < _FEWEST:
            return []
        guessed, risk = np.nan_to_num(self.means[known]), 1 - true_means[known]
        coverage, low, high = risk_coverage_band(guessed, risk, _RESAMPLES)
        lines = [
            Line("kept by the estimate", *risk_coverage(guessed, risk)),
            Line("95 % interval, lower end", coverage, low),
            Line("95 % interval, upper end", coverage, high),
            Line("best order there is", *risk_coverage(-risk, risk)),
        ]
        loss, kept = f"mean of 1 - true mean {self.measure}", "share of images kept, best estimate first"
        charts = [line_chart("Measured risk of the images that are kept", lines, kept, loss, top=None)]
        pairs = [(name, *pair) for name, pair in zip(self.classes, self._pairs(), strict=True)]
        drawn = [each for each in pairs if len(each[1]) >= _FEWEST]
        if drawn:
            # More than there are colours would look alike: the classes that the most images hold.
            shown = sorted(drawn, key=lambda each: -len(each[1]))[: len(COLOURS)]
            curves = [Line(name, *risk_coverage(guess, 1 - true)) for name, guess, true in shown]
            loss = f"mean of 1 - true {self.measure}"
            charts.append(line_chart("Measured risk by class", curves, kept, loss, top=None))
            names, heights, says = zip(*map(_area, drawn), strict=True)
            bars = Bars("area under risk-coverage", heights, says)
            charts.append(bar_chart("Area under risk-coverage by class", names, [bars], "", "low is good"))
        return charts

    def _pairs(self) -> Sequence[tuple[F64, F64]]:
        """Pairs estimate and truth of every class, in the images that hold it."""
        held = ~np.isnan(self.true).T
        guess = np.nan_to_num(self.estimated, nan=0.0)
        return [(guess[rows, k], self.true[rows, k]) for k, rows in enumerate(held)]


def _area(each: tuple[str, F64, F64]) -> tuple[str, float, str]:
    name, guess, true = each
    area = aurc(guess, 1 - true)
    return name, area, f"{name}: {area:.3f} in {len(guess)} images"


def _row_means(values: F64) -> F64:
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(1) / known.sum(1), np.float64)


def _number(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
