import re

import numpy as np
import pytest

from oodseg.report.failure_charts import cumulative, draw, expected_risk, whole_steps
from oodseg.report.failure_list import FailureEntry, FailureList
from oodseg.report.failure_record import FailureRecord


def record(mean, wrong, by_class=None, height=10):
    return FailureRecord(height, 10, mean, by_class or {}, {}, wrong, (1, 1), 1.0)


def listed(records, classes, measure):
    return FailureList([FailureEntry("x", each, {}) for each in records], {}, classes, measure, {})


def test_the_best_are_kept_first_and_count_by_their_pixels():
    records = [record(0.2, 0.5), record(None, 1.0), record(0.9, 0.1, height=30)]
    coverage, risk = expected_risk(records)
    np.testing.assert_allclose(coverage, [0.5, 1])
    np.testing.assert_allclose(risk, [0.1, (0.1 * 300 + 0.5 * 100) / 400])


def test_cumulative_shares_are_steps_from_nothing_to_all():
    x, shares = cumulative(np.array([0.75, 0.25]))
    np.testing.assert_array_equal(x, [0, 0.25, 0.25, 0.75, 0.75, 1])
    np.testing.assert_array_equal(shares, [0, 0, 0.5, 0.5, 1, 1])


def test_charts_of_a_run():
    records = [record(k / 10, 1 - k / 10, {"car": k / 10, "<tree>": 0.5}) for k in range(1, 5)]
    charts = draw(listed(records, ("road", "<tree>", "car"), "IoU"))
    assert len(charts) == 3
    assert "Images up to an estimated mean IoU" in charts[0]
    assert charts[2].count("<rect") == 2, "a class that is never predicted has no bar"
    assert "&lt;tree&gt;: 0.50 in 4" in charts[2]
    assert "car: 0.25 in 4" in charts[2]


def test_slices_are_drawn_in_their_order():
    found = [record(0.5, 0.1, {} if dice is None else {"liver": dice}) for dice in (1.0, None, 0.5, 0.0)]
    entries = [FailureEntry(f"case_slice{k:03d}", found[k], {}) for k in (2, 0, 3, 1)]
    chart = draw(FailureList(entries, {}, ("background", "liver", "spleen"), "Dice", {}))[0]
    assert "Estimated Dice along the scan" in chart
    points = re.search('<polyline points="([^"]*)"', chart)
    x, y = zip(*(map(float, each.split(",")) for each in points[1].split()), strict=True)
    assert x == tuple(sorted(x))
    assert y == tuple(sorted(y)), "downwards on the page"
    assert len(x) == 3, "a slice in which the class is not predicted has no point"
    assert [int(each) for each in re.findall(">([0-9])</text>", chart)][:4] == [0, 1, 2, 3]


@pytest.mark.parametrize("records", [[], [record(0.5, 0.5)] * 2, [record(None, 0.5)] * 5])
def test_few_estimates_are_not_drawn(records):
    assert draw(listed(records, ("road",), "IoU")) == []


@pytest.mark.parametrize(
    ("last", "step"), [(1, 1), (7, 1), (8, 2), (34, 5), (39, 5), (40, 10), (155, 20), (500, 100)]
)
def test_marks_of_whole_numbers_are_round_and_few(last, step):
    assert next(each for each in whole_steps() if last < 8 * each) == step
