import io
import re

import pytest
from rich.console import Console

from oodseg.core.progress import ProgressLines, duration, progress_bar, silent, track


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_shows_stage_and_counts_on_terminals_only(monkeypatch, terminal):
    shown = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console", lambda stderr: Console(file=shown, force_terminal=terminal, width=80)
    )
    with progress_bar() as bar:
        bar("looking", 1, 2)
        bar("looking", 2, 2)
        for done in (1, 2, 3):
            bar("judging", done, 4)
    assert ("judging" in shown.getvalue()) is terminal
    assert ("3/4" in shown.getvalue()) is terminal
    assert bool(re.search(r"\d/s", shown.getvalue())) is terminal


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def tell(progress, clock, steps):
    for seconds, *facts in steps:
        clock.now += seconds
        progress(*facts)


def test_a_line_every_half_minute_with_rate_and_time_left():
    lines, clock = [], Clock()
    progress = ProgressLines(lines.append, 30, clock)
    tell(progress, clock, [(10, "predicting", done, 400) for done in range(10, 110, 10)])
    assert lines == [
        "predicting: 30 of 400 (1.0/s, 6:10 left)",
        "predicting: 60 of 400 (1.0/s, 5:40 left)",
        "predicting: 90 of 400 (1.0/s, 5:10 left)",
    ]


def test_what_an_earlier_run_had_done_does_not_count_for_long():
    lines, clock = [], Clock()
    progress = ProgressLines(lines.append, 30, clock)
    tell(progress, clock, [(0.001, "predicting", done, 1020) for done in range(1, 1001)])
    tell(progress, clock, [(9, "predicting", done, 1020) for done in range(1001, 1009)])
    assert lines[-1] == "predicting: 1008 of 1020 (9.0 s each, 1:48 left)"


def test_lines_without_a_total_and_of_several_stages():
    lines, clock = [], Clock()
    progress = ProgressLines(lines.append, 30, clock)
    tell(progress, clock, [(20, "looking", 4, None), (20, "looking", 8, None), (20, "judging", 5, 9)])
    tell(progress, clock, [(29, "judging", 6, 9), (1, "judging", 6, 9), (30, "judging", 6, 9)])
    assert lines == [
        "looking: 8 (5.0 s each)",
        "judging: 6 of 9 (5.0 s each, 0:15 left)",
        "judging: 6 of 9 (none yet)",
    ]


def test_where_there_is_no_terminal_lines_are_written(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda stderr: Console(file=shown, width=20))
    monkeypatch.setattr("oodseg.core.progress._EVERY", 0.0)
    with progress_bar() as bar:
        bar("predicting [1]", 1, None)
    assert re.fullmatch(r"predicting \[1\]: 1 \(.*\)\n", shown.getvalue())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (6.6, "0:07"), (380, "6:20"), (3723, "1:02:03"), (86400, "24:00:00")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_silence_is_silent(capsys):
    silent("looking", 1, None)
    assert capsys.readouterr() == ("", "")


def test_tracking_tells_of_every_item_that_is_done():
    told = []
    for item in track("abc", "reading", lambda *each: told.append(each)):
        assert len(told) == "abc".index(item), "an item counts when the next one is asked for"
    assert told == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3)]
    assert list(track("abc", "reading", None)) == ["a", "b", "c"]
