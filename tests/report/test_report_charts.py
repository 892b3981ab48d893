import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from oodseg.report.charts import Bars, Line, bar_chart, histogram_chart, line_chart


def points(figure):
    root = ET.fromstring(figure)
    return [
        [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        for line in root.iter("polyline")
    ]


def test_curves_stay_inside_the_frame_and_rise_with_the_value():
    (line,) = points(line_chart("t", [Line("a", [0, 0.5, 1], [0, 0.5, 1])], "x", "y"))
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert [y for _, y in line] == sorted((y for _, y in line), reverse=True)
    assert all(0 <= x <= 460 and 0 <= y <= 300 for x, y in line)


@pytest.mark.parametrize(("peak", "axis"), [(0.03, "0.05"), (0.18, "0.2"), (0.25, "0.3"), (0.81, "1")])
def test_the_axis_fits_low_curves(peak, axis):
    figure = line_chart("t", [Line("a", [0, 1], [0, peak])], "x", "y", top=None)
    assert f">{axis}</text>" in figure


def test_every_curve_has_a_legend_entry_and_its_own_dash():
    figure = line_chart("t <1>", [Line(f"m&{k}", [0, 1], [0, 1]) for k in range(3)], "x", "y")
    assert re.findall(r"</svg>(m&amp;\d)</li>", figure) == [
        "m&amp;0",
        "m&amp;1",
        "m&amp;2",
    ]
    assert len(set(re.findall(r'<polyline[^>]*stroke-dasharray="([^"]*)"', figure))) == 3
    assert "t &lt;1&gt;" in figure


def test_histograms_are_steps_on_a_log_axis_and_empty_bins_lie_on_the_floor():
    edges = np.linspace(0, 1, 3)
    (line,) = points(histogram_chart("t", edges, [("a", np.array([1.0, 0.0]))], "score"))
    (_, top), (middle, still_top), (same, floor), (_, bottom) = line
    assert top == still_top
    assert middle == same
    assert floor == bottom > top


def test_bars_stand_side_by_side_as_high_as_their_values():
    rows = [Bars("one", [0.5, 1.0], ["a", "b"]), Bars("<two>", [0.25, np.nan], ["c", "d"])]
    root = ET.fromstring(bar_chart("t", ["small", "large"], rows, "size", "share"))
    drawn = list(root.iter("rect"))
    bars = [{key: float(each.attrib[key]) for key in ("x", "y", "width", "height")} for each in drawn]
    assert [each.find("title").text for each in drawn] == ["a", "b", "c"], "no bar without a value"
    half, full, quarter = bars
    assert half["height"] == pytest.approx(full["height"] / 2, abs=0.2)
    assert quarter["height"] == pytest.approx(full["height"] / 4, abs=0.2)
    assert len({round(bar["y"] + bar["height"], 1) for bar in bars}) == 1, "one floor"
    assert half["x"] + half["width"] <= quarter["x"]
    assert quarter["x"] + quarter["width"] <= full["x"]
    assert [item.find("{*}svg").tail for item in root.iter("li")] == ["one", "<two>"]


@pytest.mark.parametrize(("count", "slanted"), [(2, 1), (9, 10)])
def test_crowded_names_are_slanted(count, slanted):
    names = [f"class number {k}" for k in range(count)]
    figure = bar_chart("t", names, [Bars("a", [0.5] * count, names)], "", "IoU")
    low = max(float(y) for y in re.findall(r"translate\([\d.]+ ([\d.]+)\) rotate\(-30\)", figure) or ["0"])
    assert low + 12 * 6.5 / 2 < float(re.search(r"viewBox=.0 0 \d+ (\d+)", figure)[1]), "names are cut off"
    assert figure.count("rotate(") == slanted, "the label of the y axis is always turned"
