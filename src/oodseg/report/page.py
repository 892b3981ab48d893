"""`report.html`: one file that needs nothing else, to read, send on or print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from markupsafe import Markup

from oodseg.core.input_warnings import shorten
from oodseg.evaluation import Evaluation, MethodResult
from oodseg.metrics.s2m import Preset
from oodseg.report.charts import Bars, Line, bar_chart, histogram_chart, line_chart
from oodseg.report.gallery import cards, legend
from oodseg.report.html import fill, percent
from oodseg.report.tables import (
    COLUMNS,
    GROUP_HEADS,
    GROUP_KEY,
    MEAN,
    OURS,
    Row,
    cell,
    family_of,
    group_lines,
    notes_of,
)

_SIDES = {"tiny": "under 16² px", "small": "16² to 32²", "medium": "32² to 96²", "large": "over 96²"}


def render(evaluations: Sequence[Evaluation], rows: Sequence[Row], preset: Preset) -> str:
    """Builds the page.

    Args:
        evaluations: One per set.
        rows: The table, as `build_rows` gives it.
        preset: Which S2M preset is shown.

    Returns:
        A whole HTML document.
    """
    means = [row for row in rows if row.dataset == MEAN]
    return fill(
        "evaluation.html",
        means=_table(means) if means else None,
        sets=[_set(found, rows, preset) for found in evaluations],
        preset=preset,
        meta={"weights": None, **evaluations[0].meta},
        families=[
            {"name": family, "columns": list(columns)}
            for family, columns in groupby(COLUMNS, lambda column: family_of(column, preset))
        ],
    )


def _set(found: Evaluation, rows: Sequence[Row], preset: Preset) -> dict[str, Any]:
    data, methods = found.dataset, found.methods
    family = f"s2m_{preset}"
    free = next((m for m in methods if m.kind == "prompts" and _is_measured(m, preset)), None)
    best = next((m for m in methods if m.kind == "score" and _is_measured(m, preset)), None)
    return {
        "title": data.title,
        "split": data.split,
        "licence": data.licence,
        "fingerprint": found.fingerprint,
        "count": len(methods[0].images),
        "first": methods[0].name,
        "free": free and {"name": free.name, "iou": free.value(family, "iou_threshold_free")},
        "best": best
        and {
            "name": best.name,
            "iou": best.value(family, "iou_best"),
            "threshold": best.best_thresholds[preset],
        },
        "notes": [*notes_of(found), *shorten(found.warnings)],
        "table": _table([row for row in rows if row.dataset == data.title]),
        "charts": _charts(methods, preset),
        "sizes": _sizes(methods),
        "groups": {
            "method": methods[0].name,
            "key": GROUP_KEY,
            "heads": GROUP_HEADS,
            "rows": group_lines(methods[0]),
        },
        "cards": cards(found.tiles, methods[0].images),
        "legend": legend(any(tile.mask is not None for tile in found.tiles)),
        "left_out": sum(frame.label_path is not None for frame in data.frames) - len(found.tiles),
    }


def _table(rows: Sequence[Row]) -> dict[str, Any]:
    used = [k for k in range(len(COLUMNS)) if any(not math.isnan(row.cells[k].value) for row in rows)]
    best = {}
    for k in used:
        values = [
            row.cells[k].value for row in rows if row.origin == OURS and not math.isnan(row.cells[k].value)
        ]
        if len(values) > 1 and COLUMNS[k].title != "boxes":
            best[k] = max(values) if COLUMNS[k].up else min(values)
    lines, split = [], None
    for row in rows:
        ours = row.origin == OURS
        begins = not ours and row.split != split
        if begins:
            split = row.split
        texts = [cell(row.cells[k], COLUMNS[k]) for k in used]
        lines.append(
            {
                "heading": split if begins else None,
                "ours": ours,
                "method": row.method,
                "where": row.origin.removeprefix("published: "),
                "cells": [
                    {"value": value, "spread": spread, "best": ours and row.cells[k].value == best.get(k)}
                    for k, (value, spread) in zip(used, texts, strict=True)
                ],
            }
        )
    return {"columns": [COLUMNS[k] for k in used], "rows": lines}


def _charts(methods: Sequence[MethodResult], preset: Preset) -> list[Markup]:
    iou = [
        Line(m.name, m.curves.thresholds[: len(m.curves.iou[preset])], m.curves.iou[preset])
        for m in methods
        if _is_measured(m, preset)
    ]
    measured = [m for m in methods if len(m.curves.recall)]
    # Steps, as AuPRC sums them: a straight line between two recalls promises what no threshold gives.
    precision = [
        Line(m.name, np.repeat(np.append(0.0, m.curves.recall), 2)[1:-1], np.repeat(m.curves.precision, 2))
        for m in measured
    ]
    charts = []
    if iou:
        charts.append(
            line_chart("IoU against the threshold on the 0..1 map", iou, "threshold", "IoU", top=None)
        )
    if precision:
        charts.append(line_chart("Precision and recall of pixels", precision, "recall", "precision"))
    roc = [
        Line(m.name, m.curves.false_positive_rate, m.curves.true_positive_rate)
        for m in measured
        if len(m.curves.true_positive_rate)
    ]
    if roc:
        charts.append(line_chart("ROC curve of pixels", roc, "ordinary pixels raised", "anomaly found"))
    sized = [m for m in methods if m.by_size]
    if sized:
        charts.append(_recall_by_size(sized))
    for method in methods:
        if method.kind == "components":
            continue
        label = "confidence" if method.extremes is None else "score, min-max over the set"
        rows = [("in-distribution", method.curves.in_distribution), ("anomaly", method.curves.anomaly)]
        charts.append(
            histogram_chart(f"Pixels by {label}: {method.name}", method.curves.score_bins, rows, label)
        )
    return charts


def _is_measured(method: MethodResult, preset: Preset) -> bool:
    """Tells whether a set allows pixel metrics: it holds both anomalous and ordinary pixels."""
    return not math.isnan(method.value(f"s2m_{preset}", "auiou"))


def _recall_by_size(methods: Sequence[MethodResult]) -> Markup:
    bars = [
        Bars(
            method.name,
            [found / objects if objects else math.nan for objects, found, _ in _by_size(method)],
            [f"{method.name}: {found} of {objects}" for objects, found, _ in _by_size(method)],
        )
        for method in methods
    ]
    return bar_chart(
        "Objects found (IoU of at least 50 %), by size", list(_SIDES), bars, "size", "share of objects"
    )


def _by_size(method: MethodResult) -> list[tuple[int, int, float]]:
    return [method.by_size[size] for size in _SIDES]


def _sizes(methods: Sequence[MethodResult]) -> dict[str, Any]:
    shown = [method for method in methods if method.by_size]
    return {
        "sizes": [
            {"name": size, "side": side, "objects": shown[0].by_size[size][0] if shown else 0}
            for size, side in _SIDES.items()
        ],
        "rows": [
            {
                "method": method.name,
                "cells": [
                    {
                        "objects": objects,
                        "found": found,
                        "covered": "" if math.isnan(covered) else f"{percent(covered)} covered",
                    }
                    for objects, found, covered in _by_size(method)
                ],
            }
            for method in shown
        ],
    }
