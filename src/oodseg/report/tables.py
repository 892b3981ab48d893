"""The one table: our rows with their intervals, published rows beside them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodseg.data import LAYOUTS
from oodseg.evaluation import Evaluation, Figure, MethodResult
from oodseg.metrics.s2m import Preset
from oodseg.report.published import published_rows

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Column:
    """One figure of the table.

    Attributes:
        title: Heading.
        family: Family in `MethodResult.figures`; `s2m` stands for the chosen preset.
        name: Name in that family.
        percent: Shown times 100.
        up: Whether more is better.
        says: What it is, for people.
    """

    title: str
    family: str
    name: str
    percent: bool = True
    up: bool = True
    says: str = ""


COLUMNS = (
    Column("AuIoU", "s2m", "auiou", says="area under IoU against threshold"),
    Column("IoU free", "s2m", "iou_threshold_free", says="IoU of map > 0: no threshold chosen"),
    Column("IoU best", "s2m", "iou_best", says="IoU at the threshold that is best on this very set"),
    Column("mean F1", "s2m", "mean_f1", says="F1 averaged over thresholds (S2M's, not SMIYC's)"),
    Column("AuPRC", "pixel", "auprc", says="pooled pixels, ignore removed"),
    Column("FPR95", "pixel", "fpr95", up=False, says="pooled, first threshold with TPR >= 95 %"),
    Column("sIoU", "components", "siou", says="SMIYC, at the pooled best-F1 threshold"),
    Column("PPV", "components", "ppv", says="SMIYC, at the pooled best-F1 threshold"),
    Column("F1*", "components", "f1_mean", says="SMIYC mean F1 over sIoU 25 … 75 %"),
    Column("AP", "instances", "ap", says="class-agnostic COCO AP"),
    Column("AP50", "instances", "ap50", says="class-agnostic COCO AP at IoU 50 %"),
    Column("boxes", "instances", "boxes_per_image", percent=False, up=False, says="objects drawn per image"),
    Column(
        "false",
        "instances",
        "false_alarms_per_image",
        percent=False,
        up=False,
        says="false alarms per image",
    ),
)
GROUP_HEADS = ("images", "AuIoU", "IoU free", "mean F1", "boxes↓", "false↓")
GROUP_KEY = (
    "Overlaps in percent over the images with an anomaly (preset code), boxes and false alarms per image."
)
_LEAVE_OUT_FIRST = ("AP50", "boxes", "PPV", "AP", "sIoU", "F1*", "FPR95", "IoU best", "mean F1")
_LEAST_WIDTH = 72  # of the table, for its title: a set that defines no figure has no columns
_IN_TERMINAL = ("S2M (RPL)", "RPL+CoroCL", "UNO", "AnomDINO+RPL")
OURS, MEAN = "ours", "mean over sets"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        dataset: Title of the set.
        split: Its split.
        method: Name of the method.
        origin: `ours`, or where it was published.
        cells: One figure a column; NaN where there is none.
    """

    dataset: str
    split: str
    method: str
    origin: str
    cells: tuple[Figure, ...]


def family_of(column: Column, preset: Preset) -> str:
    """Returns the column's family with the preset filled in."""
    return f"s2m_{preset}" if column.family == "s2m" else column.family


def build_rows(evaluations: Sequence[Evaluation], preset: Preset, published: bool = True) -> list[Row]:
    """Lists our rows, then the published ones, set by set; with several sets also the mean over them."""
    rows: list[Row] = []
    none = Figure(float("nan"))
    for found in evaluations:
        data = found.dataset
        for method in found.methods:
            figures = {family: dict(named) for family, named in method.figures.items()}
            if method.kind == "score":
                # A score map has no threshold-free mask: nearly all of it lies above the set's minimum.
                figures[f"s2m_{preset}"].pop("iou_threshold_free")
            cells = tuple(figures.get(family_of(c, preset), {}).get(c.name, none) for c in COLUMNS)
            rows.append(Row(data.title, data.split, method.name, OURS, cells))
        for other in published_rows(data.benchmark) if published else ():
            cells = tuple(
                Figure(other.figures.get((family_of(c, preset), c.name), float("nan"))) for c in COLUMNS
            )
            if all(math.isnan(cell.value) for cell in cells):
                continue
            rows.append(Row(data.title, other.split, other.method, f"published: {other.source}", cells))
    if len(evaluations) > 1:
        rows += _means(rows, len(evaluations))
    return rows


def _means(rows: Sequence[Row], sets: int) -> list[Row]:
    """Plain means over the sets of every method of ours that was measured on all of them."""
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        if row.origin == OURS:
            by_method.setdefault(row.method, []).append(row)
    return [
        Row(MEAN, "", method, OURS, tuple(
            Figure(sum(row.cells[k].value for row in same) / sets) for k in range(len(COLUMNS))
        ))
        for method, same in by_method.items()
        if len(same) == sets
    ]  # fmt: skip


def notes_of(found: Evaluation) -> list[str]:
    """Lists what a reader of a set's figures must know, one sentence each."""
    data = found.dataset
    notes = [*data.notes, *dict.fromkeys(note for method in found.methods for note in method.notes)]
    if data.benchmark and data.benchmark != data.key:
        title = LAYOUTS[data.benchmark].title
        notes.append(f"taken for {title} by the folder's name: that is whose published numbers are shown")
    promise = (found.meta["pipeline"] or {}).get("promise")
    if promise is not None:
        notes.append(f"promised by a calibration: {promise}")
    return notes


def number(value: float, column: Column, short: bool = False) -> str:
    """Formats a value: percent with one decimal (`short`: none), or two decimals (`short`: one)."""
    if math.isnan(value):
        return ""
    return f"{100 * value:.{0 if short else 1}f}" if column.percent else f"{value:.{1 if short else 2}f}"


def cell(figure: Figure, column: Column, short: bool = False) -> tuple[str, str]:
    """Formats a figure and its interval; the interval is empty where there is none, `short` rounds it."""
    low, high = number(figure.low, column, short), number(figure.high, column, short)
    return number(figure.value, column), f"{low}–{high}" if low and high else ""


def rich_table(rows: Sequence[Row], preset: Preset, width: int) -> Table:
    """Lays the rows out for a terminal: figures in percent, 95 % intervals under them.

    Of the published rows it keeps S2M with its baseline and the head of the board. Where `width` is too
    small for all columns the less telling ones are left out; the caption says so.
    """
    from rich.console import Console

    ruler = Console(width=1000)
    short = [row for row in rows if row.origin == OURS or row.method in _IN_TERMINAL]
    used = [k for k in range(len(COLUMNS)) if any(not math.isnan(row.cells[k].value) for row in short)]
    left_out: list[str] = []
    for title in (*_LEAVE_OUT_FIRST, None):
        table = _lay_out(short, used, preset, left_out)
        if title is None or ruler.measure(table).maximum <= width:
            break
        left_out += [COLUMNS[k].title for k in used if COLUMNS[k].title == title]
        used = [k for k in used if COLUMNS[k].title != title]
    return table


def group_lines(method: MethodResult) -> list[tuple[str, str, list[str]]]:
    """Returns a method's figures by kind of image: kind, value, and one cell for each of `GROUP_HEADS`."""
    return [
        (kind, value, [str(f.images), *(_percent(v) for v in (f.auiou, f.iou_threshold_free, f.mean_f1)),
                       *("" if math.isnan(v) else f"{v:.2f}" for v in (f.boxes, f.false_alarms))])
        for kind, values in method.by_group.items()
        for value, f in values.items()
    ]  # fmt: skip


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f}"


def group_table(found: Evaluation) -> Table | None:
    """Lays the first method's figures by kind of image out for a terminal; None without kinds."""
    from rich import box
    from rich.table import Table

    method = found.methods[0]
    if not method.by_group:
        return None
    sizes = ", ".join(f"{name} {hit} of {n}" for name, (n, hit, _) in method.by_size.items())
    table = Table(
        title=f"{found.dataset.title}: {method.name} by kind of image",
        caption=GROUP_KEY + (f" Objects found: {sizes}." if sizes else ""),
        title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("", no_wrap=True)
    for head in GROUP_HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    last = None
    for kind, value, cells in group_lines(method):
        if last not in {None, kind}:
            table.add_section()
        last = kind
        table.add_row(f"{kind} {value}", *cells)
    return table


def _lay_out(rows: Sequence[Row], used: Sequence[int], preset: Preset, left_out: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    notes = [
        "IoU best knows the test labels; IoU free needs no threshold. * published by others, not re-measured."
    ]
    if left_out:
        notes.append(f"Left out for want of width: {', '.join(left_out)}; results.csv holds everything.")
    table = Table(
        title=f"Percent, 95 % bootstrap intervals over images below (preset {preset})",
        caption=" ".join(notes),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        min_width=_LEAST_WIDTH,
    )
    table.add_column("method", no_wrap=True)
    for k in used:
        table.add_column(COLUMNS[k].title + ("" if COLUMNS[k].up else "↓"), justify="right", no_wrap=True)
    last = None
    for row in rows:
        kind = (row.dataset, row.split, row.origin == OURS)
        if kind != last:
            if last is not None:
                table.add_section()
            split = f", {row.split}" if row.split not in {"", "unknown"} else ""
            heading = f"{row.dataset}{split}" if row.origin == OURS else f"published, whole {row.split} set"
            table.add_row(Text(heading, style="bold"))
            last = kind
        line = [Text(f" {row.method}" + ("" if row.origin == OURS else " *"))]
        for k in used:
            value, spread = cell(row.cells[k], COLUMNS[k], short=True)
            line.append(Text(value).append(f"\n{spread}" if spread else "", style="dim"))
        table.add_row(*line, style=None if row.origin == OURS else "cyan")
    return table


def to_markdown(rows: Sequence[Row], preset: Preset) -> str:
    """Writes the rows as one Markdown table per set: percent, intervals in brackets."""
    heading = f"Percent with 95 % bootstrap intervals over images, preset `{preset}`"
    lines = [f"{heading}; boxes and false alarms per image."]
    used = [k for k in range(len(COLUMNS)) if any(not math.isnan(row.cells[k].value) for row in rows)]
    last = None
    for row in rows:
        if row.dataset != last:
            heads = ["method", *(COLUMNS[k].title + ("" if COLUMNS[k].up else " ↓") for k in used)]
            lines += ["", f"## {row.dataset}", "", "| " + " | ".join(heads) + " |"]
            lines.append("|---|" + "---:|" * len(used))
            last = row.dataset
        name = row.method if row.origin == OURS else f"*{row.method}* ({row.origin}, {row.split})"
        texts = [cell(row.cells[k], COLUMNS[k]) for k in used]
        cells = [f"{value} ({spread})" if spread else value for value, spread in texts]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_csv(rows: Sequence[Row], preset: Preset) -> str:
    """Writes the rows as CSV: fractions, not percent; intervals in columns of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heading = ["dataset", "split", "method", "origin", "preset"]
    for column in COLUMNS:
        heading += [column.name, f"{column.name}_low", f"{column.name}_high"]
    writer.writerow(heading)
    for row in rows:
        values: list[str] = []
        for figure in row.cells:
            values += ["" if math.isnan(v) else f"{v:.6g}" for v in (figure.value, figure.low, figure.high)]
        writer.writerow([row.dataset, row.split, row.method, row.origin, preset, *values])
    return out.getvalue()
