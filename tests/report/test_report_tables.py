import csv
import io
import math

import pytest
from rich.console import Console

from oodseg.evaluation import Figure
from oodseg.report.published import HIDDEN_TEST, VALIDATION, published_rows
from oodseg.report.tables import COLUMNS, MEAN, OURS, Row, _means, cell, rich_table, to_csv, to_markdown

SETS = (
    "fishyscapes_static",
    "fishyscapes_lost_and_found",
    "road_anomaly_21",
    "road_obstacle_21",
    "road_anomaly",
)


def row(dataset, method, value, origin=OURS):
    return Row(
        dataset, "validation", method, origin, tuple(Figure(value, value - 0.1, value + 0.1) for _ in COLUMNS)
    )


def test_means_of_published_rows_match_the_papers_own_averages():
    """Threshold-free IoU of the released result file averages 54.90, the printed one 60.82 (percent)."""
    ours = [next(r for r in published_rows(key) if r.method == "S2M (RPL)") for key in SETS]
    free = [r.figures["s2m_code", "iou_threshold_free"] for r in ours]
    best = [r.figures["s2m_code", "iou_best"] for r in ours]
    assert 100 * sum(free) / 5 == pytest.approx(54.90, abs=0.01)
    assert 100 * sum(best) / 5 == pytest.approx(60.82, abs=0.01)
    assert all(f <= b for f, b in zip(free, best, strict=True))


@pytest.mark.parametrize("key", SETS)
def test_published_rows_are_fractions_with_source_and_split(key):
    rows = published_rows(key)
    assert {"PEBAL", "S2M (RPL)", "S2M (entropy)", "S2M (RbA)"} <= {r.method for r in rows}
    for r in rows:
        assert r.split in {VALIDATION, HIDDEN_TEST}
        assert r.source
        assert all(0 <= value <= 1 for value in r.figures.values())
        # Hidden-test rows never carry S2M's metrics, nor S2M's rows SMIYC's F1.
        families = {family for family, _ in r.figures}
        assert families <= ({"pixel", "components"} if r.split == HIDDEN_TEST else {"s2m_code", "pixel"})


@pytest.mark.parametrize("key", [None, "my_images", "plain"])
def test_nothing_is_published_for_an_unknown_set(key):
    assert published_rows(key) == []


@pytest.mark.parametrize(
    ("figure", "column", "short", "expected"),
    [
        (Figure(0.5432, 0.5, 0.61), COLUMNS[0], False, ("54.3", "50.0–61.0")),
        (Figure(0.5432, 0.5, 0.61), COLUMNS[0], True, ("54.3", "50–61")),
        (Figure(1.5), COLUMNS[-1], False, ("1.50", "")),
        (Figure(math.nan), COLUMNS[0], False, ("", "")),
    ],
)
def test_cells(figure, column, short, expected):
    assert cell(figure, column, short) == expected


def test_the_mean_takes_methods_measured_on_every_set_only():
    rows = [
        row("a", "S2M", 0.2),
        row("b", "S2M", 0.4),
        row("a", "RPL", 0.9),
        row("b", "S2M (RPL)", 0.7, "published: x"),
    ]
    (mean,) = _means(rows, 2)
    assert (mean.dataset, mean.method) == (MEAN, "S2M")
    assert mean.cells[0].value == pytest.approx(0.3)


@pytest.mark.parametrize("width", [200, 120, 80])
def test_the_table_fits_the_terminal_and_cuts_no_number(width):
    rows = [row("some_set", "S2M (street)'s detector + components", 0.123)]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(rich_table(rows, "code", width))
    text = console.export_text()
    assert "…" not in text
    assert "12.3" in text
    assert "AuIoU" in text
    assert ("Left out" in text) == (width < 150)


def test_csv_holds_fractions_and_intervals():
    rows = [row("a", "S2M", 0.25), Row("a", "", "other", OURS, tuple(Figure(math.nan) for _ in COLUMNS))]
    first, second = csv.DictReader(io.StringIO(to_csv(rows, "code")))
    assert float(first["auiou"]) == 0.25
    assert float(first["auiou_low"]) == pytest.approx(0.15)
    assert second["auiou"] == second["auiou_high"] == ""


def test_markdown_tables_have_as_many_cells_as_headings():
    rows = [row("a", "S2M", 0.25), row("b", "S2M", 0.5), row("b", "S2M (RPL)", 0.7, "published: S2M paper")]
    text = to_markdown(rows, "code")
    assert text.count("## ") == 2
    assert "25.0 (15.0–35.0)" in text
    assert "*S2M (RPL)* (published: S2M paper, validation)" in text
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {len(COLUMNS) + 2}
