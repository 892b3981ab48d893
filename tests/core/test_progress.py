import io
import re

import pytest
from rich.console import Console

from oodseg.core.progress import progress_bar, silent, track


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


def test_silence_is_silent(capsys):
    silent("looking", 1, None)
    assert capsys.readouterr() == ("", "")


def test_tracking_tells_of_every_item_that_is_done():
    told = []
    for item in track("abc", "reading", lambda *each: told.append(each)):
        assert len(told) == "abc".index(item), "an item counts when the next one is asked for"
    assert told == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3)]
    assert list(track("abc", "reading", None)) == ["a", "b", "c"]
