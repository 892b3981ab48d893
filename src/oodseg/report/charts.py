"""Line and bar charts as inline SVG: sharp at any size, nothing to load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from oodseg.report.html import fill

# Okabe and Ito's palette: told apart by colour-blind readers; line styles repeat the difference.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "5 2", "1 2", "12 4")
_W, _H = 460, 300
_LETTER, _LONGEST = 6.5, 12  # width of a letter in pixels; letters of a name that fit under the axis
_SLANT = 18  # pixels more that slanted names of that many letters reach down
_FRAME = {"left": 52, "right": _W - 12, "top": 12, "bottom": _H - 42}


@dataclass(frozen=True)
class Line:
    """One curve: name for the legend, x and y of any range."""

    name: str
    x: ArrayLike
    y: ArrayLike


@dataclass(frozen=True)
class Bars:
    """One row of bars.

    Attributes:
        name: Name for the legend.
        heights: 0..1, one for each group; NaN leaves it out.
        says: What a bar stands for, shown when it is pointed at.
    """

    name: str
    heights: Sequence[float]
    says: Sequence[str]


def line_chart(
    title: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    top: float | None = 1.0,
    log: bool = False,
    x_names: Mapping[float, str] | None = None,
) -> Markup:
    """Draws curves over x in 0..1.

    Args:
        title: Heading.
        lines: Curves with y in 0..`top`.
        x_label: Under the x axis.
        y_label: Beside the y axis.
        top: Upper end of y; None fits the curves.
        log: Logarithmic y from 1e-5 to 1.
        x_names: What is written under the x axis, by x; None for the numbers.

    Returns:
        A `<figure>` element.
    """
    peak = max((float(np.max(line.y, initial=0.0)) for line in lines), default=1.0)
    high = top if top is not None else _round_up(peak)
    ticks = {k / 5: f"{k / 5:.1f}" for k in range(6)} if x_names is None else x_names
    curves = [
        {"name": line.name, "points": _points(line, high, log), **_look(number)}
        for number, line in enumerate(lines)
    ]
    return fill(
        "chart.html",
        **_axes(title, x_label, y_label, high, log),
        x_ticks=[_tick(_x(x), name, grid=True) for x, name in ticks.items()],
        curves=curves,
        bars=[],
        legend=[{"name": curve["name"], **_look(k), "stroke": 2.5} for k, curve in enumerate(curves)],
    )


def histogram_chart(
    title: str, edges: NDArray[np.float64], rows: Sequence[tuple[str, NDArray[np.float64]]], x_label: str
) -> Markup:
    """Draws histograms as steps on a logarithmic share axis; shares of each row sum to 1."""
    lines = [Line(name, np.repeat(edges, 2)[1:-1], np.repeat(shares, 2)) for name, shares in rows]
    return line_chart(title, lines, x_label, "share of pixels (log)", log=True)


def bar_chart(title: str, groups: Sequence[str], rows: Sequence[Bars], x_label: str, y_label: str) -> Markup:
    """Draws groups of bars side by side, one colour per row.

    Args:
        title: Heading.
        groups: Names of the groups, under the x axis.
        rows: One bar per group each.
        x_label: Under the names; empty where these are long, for they are slanted then.
        y_label: Beside the y axis, which runs from 0 to 1.

    Returns:
        A `<figure>` element.
    """
    step = (_FRAME["right"] - _FRAME["left"]) / max(1, len(groups))
    wide = 0.8 * step / max(1, len(rows))
    crowded = max(map(len, groups), default=0) * _LETTER > step
    bars = [
        {
            "x": round(_FRAME["left"] + (group + 0.1) * step + number * wide, 1),
            "y": round(_y(height, 1.0, False), 1),
            "width": round(0.92 * wide, 1),
            "height": round(_FRAME["bottom"] - _y(height, 1.0, False), 1),
            "colour": COLOURS[number % len(COLOURS)],
            "says": says,
        }
        for number, row in enumerate(rows)
        for group, (height, says) in enumerate(zip(row.heights, row.says, strict=True))
        if not math.isnan(height)
    ]
    axes = _axes(title, x_label, y_label, 1.0, log=False)
    return fill(
        "chart.html",
        **{**axes, "height": _H + (_SLANT if crowded else 0)},
        x_ticks=[
            _tick(_FRAME["left"] + (k + 0.5) * step, _shortened(name), slanted=crowded)
            for k, name in enumerate(groups)
        ],
        curves=[],
        bars=bars,
        legend=[
            {"name": row.name, "colour": COLOURS[k % len(COLOURS)], "dash": "", "stroke": 8}
            for k, row in enumerate(rows)
        ],
    )


def _axes(title: str, x_label: str, y_label: str, high: float, log: bool) -> Mapping[str, Any]:
    ticks = [10.0**-k for k in range(6)] if log else [float(v) for v in np.linspace(0, high, 6)]
    labels = [f"1e-{round(-math.log10(v))}" if log and v < 1 else f"{v:.3g}" for v in ticks]
    return {
        "title": title,
        "width": _W,
        "height": _H,
        "frame": _FRAME,
        "x_label": x_label,
        "y_label": y_label,
        "y_ticks": [
            {"at": round(_y(value, high, log), 1), "label": label}
            for value, label in zip(ticks, labels, strict=True)
        ],
    }


def _tick(at: float, label: str, *, grid: bool = False, slanted: bool = False) -> dict[str, Any]:
    return {"at": round(at, 1), "label": label, "grid": grid, "slanted": slanted}


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _points(line: Line, high: float, log: bool) -> str:
    pairs = zip(np.asarray(line.x, float), np.asarray(line.y, float), strict=True)
    return " ".join(f"{_x(a):.1f},{_y(b, high, log):.1f}" for a, b in pairs)


def _look(number: int) -> dict[str, str]:
    return {"colour": COLOURS[number % len(COLOURS)], "dash": DASHES[number % len(DASHES)]}


def _x(value: float) -> float:
    return _FRAME["left"] + min(max(value, 0.0), 1.0) * (_FRAME["right"] - _FRAME["left"])


def _y(value: float, high: float, log: bool) -> float:
    share = 1 + math.log10(max(value, 1e-5)) / 5 if log else value / high
    return _FRAME["bottom"] - min(max(share, 0.0), 1.0) * (_FRAME["bottom"] - _FRAME["top"])


def _round_up(peak: float) -> float:
    """The next round number: a low curve should not lie flat on the axis."""
    return next((step for step in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if peak <= step), 1.0)
