"""Line and bar charts as inline SVG: sharp at any size, nothing to load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Okabe and Ito's palette: told apart by colour-blind readers; line styles repeat the difference.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "5 2", "1 2", "12 4")
_W, _H = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 42


@dataclass(frozen=True)
class Line:
    """One curve: name for the legend, x and y of any range."""

    name: str
    x: ArrayLike
    y: ArrayLike


def line_chart(
    title: str, lines: Sequence[Line], x_label: str, y_label: str, top: float | None = 1.0, log: bool = False
) -> str:
    """Draws curves over x in 0..1.

    Args:
        title: Heading.
        lines: Curves with y in 0..`top`.
        x_label: Under the x axis.
        y_label: Beside the y axis.
        top: Upper end of y; None fits the curves.
        log: Logarithmic y from 1e-5 to 1.

    Returns:
        A `<figure>` element.
    """
    peak = max((float(np.max(line.y, initial=0.0)) for line in lines), default=1.0)
    high = top if top is not None else _round_up(peak)
    parts = [_grid(high, log, x_label, y_label)]
    for number, line in enumerate(lines):
        x, y = np.asarray(line.x, float), np.asarray(line.y, float)
        points = " ".join(f"{_x(a):.1f},{_y(b, high, log):.1f}" for a, b in zip(x, y, strict=True))
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.2" '
            f'stroke-dasharray="{dash}" stroke-linejoin="round"><title>{escape(line.name)}</title></polyline>'
        )
    return _figure(title, "".join(parts), [line.name for line in lines])


def histogram_chart(
    title: str, edges: NDArray[np.float64], rows: Sequence[tuple[str, NDArray[np.float64]]], x_label: str
) -> str:
    """Draws histograms as steps on a logarithmic share axis; shares of each row sum to 1."""
    lines = [Line(name, np.repeat(edges, 2)[1:-1], np.repeat(shares, 2)) for name, shares in rows]
    return line_chart(title, lines, x_label, "share of pixels (log)", log=True)


def _figure(title: str, body: str, names: Sequence[str]) -> str:
    legend = "".join(
        f'<li><svg width="30" height="8" aria-hidden="true"><line x1="0" y1="4" x2="30" y2="4" '
        f'stroke="{COLOURS[k % len(COLOURS)]}" stroke-width="2.5" '
        f'stroke-dasharray="{DASHES[k % len(DASHES)]}"/></svg>{escape(name)}</li>'
        for k, name in enumerate(names)
    )
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_W} {_H}" role="img" aria-label="{escape(title)}">{body}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def _grid(high: float, log: bool, x_label: str, y_label: str) -> str:
    parts = []
    for tick in np.linspace(0, 1, 6):
        x = _x(float(tick))
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_H - _BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_H - _BOTTOM + 16}" text-anchor="middle">{tick:.1f}</text>')
    ticks = [10.0**-k for k in range(6)] if log else [float(v) for v in np.linspace(0, high, 6)]
    for value in ticks:
        y = _y(value, high, log)
        label = f"1e-{round(-math.log10(value))}" if log and value < 1 else f"{value:.3g}"
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_W - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    middle = (_TOP + _H - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + _W - _RIGHT) / 2}" y="{_H - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    parts.append(
        f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _x(value: float) -> float:
    return _LEFT + min(max(value, 0.0), 1.0) * (_W - _LEFT - _RIGHT)


def _y(value: float, high: float, log: bool) -> float:
    share = 1 + math.log10(max(value, 1e-5)) / 5 if log else value / high
    return _H - _BOTTOM - min(max(share, 0.0), 1.0) * (_H - _BOTTOM - _TOP)


def _round_up(peak: float) -> float:
    """The next round number: a low curve should not lie flat on the axis."""
    return next((step for step in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if peak <= step), 1.0)
