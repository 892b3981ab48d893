"""`report.html`: one file that needs nothing else, to read, send on or print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

import numpy as np

from oodseg.evaluation import Evaluation, MethodResult
from oodseg.metrics.s2m import Preset
from oodseg.report.charts import Line, histogram_chart, line_chart
from oodseg.report.gallery import gallery, legend
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

_KEY = (
    "All in percent, but boxes and false alarms a picture. ↓: less is better. Small: 95 % bootstrap interval "
    "over pictures. Bold: best of ours. IoU best knows the test labels; IoU free needs no threshold."
)


def render(evaluations: Sequence[Evaluation], rows: Sequence[Row], preset: Preset) -> str:
    """Builds the page.

    Args:
        evaluations: One a set.
        rows: The table, as `build_rows` gives it.
        preset: Which S2M preset is shown.

    Returns:
        A whole HTML document.
    """
    style = files("oodseg.report").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(
        f'<a href="#set{k}">{escape(found.dataset.title)}</a>' for k, found in enumerate(evaluations)
    )
    several = '<a href="#means">Mean over sets</a>' if len(evaluations) > 1 else ""
    sections = "".join(_section(found, rows, preset, k) for k, found in enumerate(evaluations))
    means = [row for row in rows if row.dataset == MEAN]
    summary = f'<section id="means"><h2>Mean over sets</h2>{_table(means)}</section>' if means else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>oodseg evaluation</title><style>{style}</style></head><body>"
        f"<header><h1>Unknown objects: evaluation</h1><nav>{several}{links}"
        '<a href="#how">How it was measured</a></nav></header>'
        f"<main>{summary}{sections}{_how(evaluations, preset)}</main></body></html>\n"
    )


def _section(found: Evaluation, rows: Sequence[Row], preset: Preset, number: int) -> str:
    data = found.dataset
    own = [row for row in rows if row.dataset == data.title]
    notes = "".join(f"<li>{escape(note)}</li>" for note in notes_of(found))
    split = f", {escape(data.split)} split" if data.split != "unknown" else ""
    cards = ""
    if found.tiles:
        masks = any(tile.mask is not None for tile in found.tiles)
        left = sum(1 for frame in data.frames if frame.label_path is not None) - len(found.tiles)
        rest = f" The best {left} pictures are left out." if left else ""
        cards = (
            "<h3>Pictures, from worst to best</h3>"
            f"<p>Sorted by the mean F1 of {escape(found.methods[0].name)} on the picture.{rest}</p>"
            + legend(masks)
            + gallery(found.tiles, found.methods[0].pictures)
        )
    return (
        f'<section id="set{number}"><h2>{escape(data.title)}</h2>'
        f"<p>{len(found.methods[0].pictures)} pictures{split}. {_finding(found.methods, preset)}</p>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + _table(own)
        + f'<p class="key">{_KEY}</p>'
        + f'<div class="charts">{_charts(found.methods, preset)}</div>'
        + f"{_sizes(found.methods)}{_groups(found.methods[0])}{cards}</section>"
    )


def _finding(methods: Sequence[MethodResult], preset: Preset) -> str:
    """The one sentence to take home."""
    family = f"s2m_{preset}"
    prompts = next((m for m in methods if m.kind == "prompts"), None)
    score = next((m for m in methods if m.kind == "score"), None)
    parts = []
    if prompts is not None:
        value = 100 * prompts.value(family, "iou_threshold_free")
        parts.append(f"Without any threshold {escape(prompts.name)} reaches an IoU of <b>{value:.1f} %</b>.")
    if score is not None:
        value, at = 100 * score.value(family, "iou_best"), score.best_thresholds[preset]
        parts.append(
            f"{escape(score.name)} reaches <b>{value:.1f} %</b> at its best threshold, {at:.2f}, "
            "which only the labels of this very set can tell."
        )
    return " ".join(parts)


def _table(rows: Sequence[Row]) -> str:
    used = [k for k in range(len(COLUMNS)) if any(not math.isnan(row.cells[k].value) for row in rows)]
    best = {}
    for k in used:
        values = [
            row.cells[k].value for row in rows if row.origin == OURS and not math.isnan(row.cells[k].value)
        ]
        if len(values) > 1 and COLUMNS[k].title != "boxes":
            best[k] = max(values) if COLUMNS[k].up else min(values)
    head = "".join(
        f'<th title="{escape(COLUMNS[k].says)}">{COLUMNS[k].title}{"" if COLUMNS[k].up else " ↓"}</th>'
        for k in used
    )
    body, split = [], None
    for row in rows:
        ours = row.origin == OURS
        if not ours and row.split != split:
            split = row.split
            body.append(
                f'<tr class="published"><th scope="rowgroup" colspan="{len(used) + 1}">published by others, '
                f"on the whole {escape(split)} set</th></tr>"
            )
        cells = []
        for k in used:
            value, spread = cell(row.cells[k], COLUMNS[k])
            mark = ' class="best"' if ours and row.cells[k].value == best.get(k) else ""
            cells.append(f"<td{mark}>{value}" + (f"<small>{spread}</small>" if spread else "") + "</td>")
        where = "" if ours else f"<small>{escape(row.origin.removeprefix('published: '))}</small>"
        body.append(
            f'<tr class="{"ours" if ours else "published"}"><th scope="row">{escape(row.method)}{where}</th>'
            f"{''.join(cells)}</tr>"
        )
    return (
        f'<div class="scroll"><table><thead><tr><th>method</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _charts(methods: Sequence[MethodResult], preset: Preset) -> str:
    iou = [
        Line(m.name, m.curves.thresholds[: len(m.curves.iou[preset])], m.curves.iou[preset]) for m in methods
    ]
    # Steps, as AuPRC sums them: a straight line between two recalls promises what no threshold gives.
    curves = [
        Line(m.name, np.repeat(np.append(0.0, m.curves.recall), 2)[1:-1], np.repeat(m.curves.precision, 2))
        for m in methods
        if len(m.curves.recall)
    ]
    charts = [
        line_chart("IoU against the threshold on the 0..1 map", iou, "threshold", "IoU", top=None),
        line_chart("Precision and recall of pixels", curves, "recall", "precision"),
    ]
    for method in methods:
        if method.kind == "components":
            continue
        label = "confidence" if method.extremes is None else "score, min-max over the set"
        rows = [("in-distribution", method.curves.in_distribution), ("anomaly", method.curves.anomaly)]
        charts.append(
            histogram_chart(f"Pixels by {label}: {method.name}", method.curves.score_bins, rows, label)
        )
    return "".join(charts)


def _sizes(methods: Sequence[MethodResult]) -> str:
    shown = [method for method in methods if method.by_size]
    if not shown:
        return ""
    sides = {"tiny": "under 16² px", "small": "16² to 32²", "medium": "32² to 96²", "large": "over 96²"}
    head = "".join(
        f"<th>{size}<small>{sides[size]}, {shown[0].by_size[size][0]} objects</small></th>" for size in sides
    )
    body = "".join(
        f'<tr class="ours"><th scope="row">{escape(m.name)}</th>'
        + "".join(
            f"<td>{found} of {n}<small>{_covered(covered)}</small></td>" if n else "<td>–</td>"
            for n, found, covered in (m.by_size[size] for size in sides)
        )
        + "</tr>"
        for m in shown
    )
    return (
        "<h3>Objects found, by size</h3><p>Found: one prediction overlaps the object with an IoU of at least "
        "50 %. Covered: share of its pixels in any prediction.</p>"
        f'<div class="scroll"><table><thead><tr><th>method</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _groups(method: MethodResult) -> str:
    lines = group_lines(method)
    if not lines:
        return ""
    head = "".join(f"<th>{name}</th>" for name in GROUP_HEADS)
    body = "".join(
        f'<tr class="ours"><th scope="row">{escape(f"{kind} {value}")}</th>'
        + "".join(f"<td>{text or '–'}</td>" for text in cells)
        + "</tr>"
        for kind, value, cells in lines
    )
    return (
        f"<h3>{escape(method.name)} by kind of picture</h3><p>{GROUP_KEY}</p>"
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _covered(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.0f} % covered"


def _how(evaluations: Sequence[Evaluation], preset: Preset) -> str:
    meta = evaluations[0].meta
    known = {name: escape(text) for name, text in meta["definitions"].items()}
    families = "".join(
        f"<dt>{', '.join(c.title for c in columns)}</dt><dd>{known[family]}<ul>"
        + "".join(f"<li>{c.title}: {escape(c.says)}</li>" for c in columns)
        + "</ul></dd>"
        for family, columns in ((f, list(c)) for f, c in groupby(COLUMNS, lambda c: family_of(c, preset)))
    )
    sets = "".join(
        f"<dt>{escape(e.dataset.title)}</dt><dd>{len(e.methods[0].pictures)} labelled pictures; licence: "
        f"{escape(e.dataset.licence)}; fingerprint <code>{e.fingerprint}</code></dd>"
        for e in evaluations
    )
    weights = f", weights <code>{escape(str(meta['weights']))}</code>" if meta.get("weights") else ""
    return (
        '<section id="how"><h2>How it was measured</h2>'
        f"<p>oodseg {escape(str(meta['oodseg_version']))}{weights}, preset <b>{preset}</b>, "
        f"{meta['resamples']} bootstrap resamples, seed {meta['seed']}. Intervals: {known['intervals']}. "
        f"Normalisation: {known['normalisation']}. Published numbers were measured by others on whole splits "
        "and stand here for orientation; a hidden test is never comparable with validation pictures.</p>"
        f"<dl>{families}</dl><h3>Data</h3><dl>{sets}</dl></section>"
    )
