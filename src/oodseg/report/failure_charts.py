"""Charts the estimates of a whole run: how good, how risky, and which classes are weak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from oodseg.metrics.risk_coverage import risk_coverage
from oodseg.report.charts import Bars, Line, bar_chart, line_chart
from oodseg.report.failure_list import FailureList
from oodseg.report.failure_record import FailureRecord

F64 = NDArray[np.float64]
_FEWEST = 3  # a curve of two points says no more than the two cards do


def draw(listed: FailureList) -> list[Markup]:
    """Draws a run's estimates; nothing where there are fewer than three."""
    records, measure, unit = [entry.record for entry in listed.entries], listed.measure, f"{listed.unit}s"
    means = np.array([record.mean for record in records if record.mean is not None])
    if len(means) < _FEWEST:
        return []
    charts = [
        line_chart(
            f"{unit.capitalize()} up to an estimated mean {measure}",
            [Line(unit, *cumulative(means))],
            f"estimated mean {measure}",
            f"share of {unit}",
        ),
        line_chart(
            "Expected wrong pixels where only the best are kept",
            [Line("expected wrong pixels", *expected_risk(records))],
            f"share of {unit} kept, best estimated mean {measure} first",
            "share of wrong pixels",
            top=None,
        ),
    ]
    if listed.unit == "slice":
        charts.insert(0, _along(listed))
    bars = _by_class(records, listed.classes)
    if bars:
        names, heights, says = zip(*bars, strict=True)
        mean = Bars(f"mean over {unit}", heights, says)
        charts.append(bar_chart(f"Estimated {measure} by class", names, [mean], "", measure))
    return charts


def _along(listed: FailureList) -> Markup:
    """Draws the estimates of every class from the first slice to the last."""
    records = [each.record for each in sorted(listed.entries, key=lambda entry: entry.name)]
    last = len(records) - 1
    lines = []
    for name in listed.classes:
        found = [(k / last, r.by_class[name]) for k, r in enumerate(records) if name in r.by_class]
        if found:
            lines.append(Line(name, *np.array(found).T))
    step = next(each for each in whole_steps() if last < 8 * each)
    numbers = {each / last: str(each) for each in range(0, last + 1, step)}
    title, measure = f"Estimated {listed.measure} along the scan", listed.measure
    return line_chart(title, lines, "number of the slice", measure, x_names=numbers)


def whole_steps() -> Iterator[int]:
    """Gives the steps between marks on an axis of whole numbers: 1, 2, 5, 10, 20, ..."""
    return (digit * 10**power for power in count() for digit in (1, 2, 5))


def cumulative(values: F64) -> tuple[F64, F64]:
    """Draws the distribution of values in 0..1 as steps: x, and the share of values up to x."""
    ordered, shares = np.sort(values), np.arange(len(values) + 1) / len(values)
    return np.repeat(np.concatenate([[0.0], ordered, [1.0]]), 2)[1:-1], np.repeat(shares, 2)


def expected_risk(records: Sequence[FailureRecord]) -> tuple[F64, F64]:
    """Computes the share of pixels expected to be wrong among the best images, for every number of them.

    Images are kept in the order of their estimated mean, best first: `oodseg.metrics.risk_coverage` with the
    estimated in place of the true risk. Those without an estimate are left out. Every image counts by its
    pixels.

    Returns:
        Coverage, ascending to 1, and risk, both float64 `[N]`.
    """
    kept = [(r.mean, r.wrong, r.height * r.width) for r in records if r.mean is not None]
    means, wrong, pixels = np.array(kept, np.float64).reshape(-1, 3).T
    return risk_coverage(means, wrong, pixels)


def _by_class(records: Sequence[FailureRecord], classes: Sequence[str]) -> list[tuple[str, float, str]]:
    """Name, mean estimate, and what the bar says, of every class predicted in any image."""
    found = {name: [r.by_class[name] for r in records if name in r.by_class] for name in classes}
    return [
        (name, float(np.mean(values)), f"{name}: {np.mean(values):.2f} in {len(values)}")
        for name, values in found.items()
        if values
    ]
