from dataclasses import dataclass
from functools import partial

import pytest

from oodseg.core.errors import ConfigError, ImageError, ScoreMapError
from oodseg.runs.items import Item, Source
from oodseg.runs.loop import Pace, Work, work_through
from oodseg.runs.store import Plan, RunStore


@dataclass(frozen=True)
class Note:
    milliseconds: float


class Numbers(Work):
    """Item `k` takes k milliseconds, unless `faults` says what happens to it."""

    stage, unit = "counting", "numbers"

    def __init__(self, out, faults=None):
        super().__init__(RunStore(out, Plan("count", Note, {}, {"text": ".txt"})))
        self.faults, self.finished, self.kept = faults or {}, [], []

    def process(self, item):
        if item.key in self.faults:
            raise self.faults[item.key]
        return {"text": item.key.encode()}, Note(float(item.key))

    def keep_up(self, names):
        self.kept.append(list(names))

    def finish(self, names, complete):
        self.finished.append((list(names), complete))


def source(*keys, total=None):
    return Source([Item(key, f"{key}.png", None, partial(list, [key])) for key in keys], total)


def test_all_are_done_once(tmp_path):
    work = Numbers(tmp_path)
    tally = work_through(work, source("1", "2"))
    assert (tally.total, tally.done_before, tally.milliseconds) == (2, 0, [1, 2])
    assert tally.names == {"1": "1.png", "2": "2.png"}
    assert work.finished == [(["1", "2"], True)]
    again = work_through(Numbers(tmp_path, {"1": ZeroDivisionError()}), source("1", "2", "3"))
    assert (again.done_before, again.milliseconds) == (2, [3])


@pytest.mark.parametrize("error", [ImageError("no image"), ScoreMapError("no map")])
def test_what_cannot_be_used_is_noted_and_the_rest_goes_on(tmp_path, error):
    work = Numbers(tmp_path, {"1": error})
    assert work_through(work, source("1", "2")).milliseconds == [2]
    assert work.store.failures == {"1": str(error)}
    assert work.finished == [(["1", "2"], False)]


def test_faults_of_the_run_end_it_and_are_summed_up(tmp_path):
    work = Numbers(tmp_path, {"2": ConfigError("bad option")})
    with pytest.raises(ConfigError, match="bad option"):
        work_through(work, source("1", "2", "3"))
    assert work.finished == [(["1", "2"], False)]


@pytest.mark.parametrize(("total", "words"), [(3, "after 1 of 3 numbers"), (None, "after 1 numbers")])
def test_an_interruption_says_how_to_go_on(tmp_path, total, words):
    work = Numbers(tmp_path, {"2": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt, match=f"interrupted {words}, all written whole to"):
        work_through(work, source("1", "2", "3", total=total))
    assert work.finished == [(["1", "2"], False)]


def test_bugs_are_not_taken_for_faults_of_the_input(tmp_path):
    with pytest.raises(ZeroDivisionError):
        work_through(Numbers(tmp_path, {"1": ZeroDivisionError()}), source("1"))


def test_progress_counts_failures_too(tmp_path):
    told = []
    work_through(
        Numbers(tmp_path, {"1": ImageError("x")}), source("1", "2", total=2), lambda *all: told.append(all)
    )
    assert told == [("counting", 1, 2), ("counting", 2, 2)]


def test_the_list_is_kept_up_after_everything_new(tmp_path):
    work = Numbers(tmp_path, {"2": ImageError("x")})
    work_through(work, source("1", "2", "3"))
    assert work.kept == [["1"], ["1", "2", "3"]]
    again = Numbers(tmp_path)
    work_through(again, source("1", "3"))
    assert again.kept == []


def test_a_slow_list_takes_a_twentieth_of_the_time():
    now, calls = [0.0], []

    def action():
        calls.append(now[0])
        now[0] += 1.0

    pace = Pace(clock=lambda: now[0])
    for _ in range(40):
        pace.run(action)
        now[0] += 1.0
    assert calls == [0.0, 21.0]
