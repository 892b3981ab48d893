import json
from dataclasses import dataclass, replace

import pytest

from oodseg.core.errors import ConfigError
from oodseg.core.run_file import read_run_file
from oodseg.runs.items import Item
from oodseg.runs.store import Plan, RunStore


@dataclass(frozen=True)
class Note:
    words: list
    milliseconds: float = 1.5


FILES = {"text": b"hello", "data": b"\0\1"}
KINDS = {"text": ".txt", "data": ".bin"}


def make(out, settings=None, kinds=None, fresh=False):
    plan = Plan("note", Note, settings or {"pipeline": "red"}, kinds or KINDS, ("notes.json",), fresh)
    return RunStore(out, plan)


def item(key="town/a.b", origin="/photos/town/a.b.png"):
    return Item(key, f"{key}.png", None, None, origin=origin)


def write(store, key="town/a.b", identity=("x",)):
    store.write(item(key), store.fingerprint(list(identity)), FILES, Note(["one"]))


def done(store, key="town/a.b", identity=("x",), origin="/photos/town/a.b.png"):
    return store.done(item(key, origin), store.fingerprint(list(identity)))


def test_files_lie_under_kind_and_key(tmp_path):
    store = make(tmp_path)
    write(store)
    assert (tmp_path / "text" / "town" / "a.b.txt").read_bytes() == b"hello"
    assert store.path("data", "town/a.b").read_bytes() == b"\0\1"
    assert store.records == {"town/a.b": Note(["one"])}


def test_a_later_run_finds_what_is_done(tmp_path):
    write(make(tmp_path))
    later = make(tmp_path)
    assert done(later) == Note(["one"])
    assert later.records == {"town/a.b": Note(["one"])}
    found = later.stored["town/a.b"]
    assert (found.name, found.origin) == ("town/a.b.png", "/photos/town/a.b.png")
    assert found.files == ("text/town/a.b.txt", "data/town/a.b.bin")


@pytest.mark.parametrize("change", ["settings", "identity", "fresh", "file", "kinds", "key"])
def test_what_changed_is_not_done_and_stays_until_it_is(tmp_path, change):
    write(make(tmp_path))
    later = make(
        tmp_path,
        {"pipeline": "blue"} if change == "settings" else None,
        {"text": ".txt", "data": ".npy"} if change == "kinds" else None,
        fresh=change == "fresh",
    )
    if change == "file":
        later.path("text", "town/a.b").unlink()
    key = "town/b" if change == "key" else "town/a.b"
    assert done(later, key, ("y",) if change == "identity" else ("x",)) is None
    assert list(later.stored) == ["town/a.b"]


@pytest.mark.parametrize(
    ("before", "now"), [("/photos/a.png", "/other/a.png"), (None, None), (None, "/a.png")]
)
def test_results_of_another_image_are_kept(tmp_path, before, now):
    """Only where the same file has changed may its results be replaced without a word."""
    store = make(tmp_path)
    store.write(item("a", before), store.fingerprint(["x"]), FILES, Note([]))
    with pytest.raises(ConfigError, match=r"would replace: choose another folder .*--overwrite"):
        done(make(tmp_path), "a", ("y",), now)
    assert done(make(tmp_path, fresh=True), "a", ("y",), now) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fingerprint": 3}', "3"])
def test_broken_records_count_as_not_done(tmp_path, text):
    write(make(tmp_path))
    (tmp_path / "records" / "town" / "a.b.json").write_text(text)
    assert done(make(tmp_path)) is None


def test_a_record_with_foreign_fields_counts_as_not_done(tmp_path):
    write(make(tmp_path))
    path = tmp_path / "records" / "town" / "a.b.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"more": 1}))
    assert done(make(tmp_path)) is None


def test_other_kinds_of_files_leave_no_stale_ones(tmp_path):
    write(make(tmp_path))
    store = make(tmp_path, kinds={"data": ".npy"})
    write(store)
    assert sorted(path.name for path in (tmp_path / "data").rglob("*.*")) == ["a.b.npy"]
    assert not list((tmp_path / "text").rglob("*.*"))


def test_what_failed_keeps_what_was_found(tmp_path):
    store = make(tmp_path)
    store.fail("town/a.b", "it is gone")
    assert store.failures == {"town/a.b": "it is gone"}
    write(store)
    store = make(tmp_path)
    store.fail("town/a.b", "it is gone")
    assert store.failures == {"town/a.b": "it is gone (what an earlier run has found there is kept)"}
    assert done(store) is not None


def test_a_file_that_was_emptied_is_made_again(tmp_path):
    write(make(tmp_path))
    assert done(make(tmp_path)) is not None
    (tmp_path / "data" / "town" / "a.b.bin").write_bytes(b"")
    assert done(make(tmp_path)) is None


def test_a_record_is_taken_away_before_its_files_are_written(tmp_path):
    write(make(tmp_path))
    store = make(tmp_path)
    with pytest.raises(KeyError):
        store.write(item(), "f", {"text": b"only this"}, Note([]))
    assert not (tmp_path / "records" / "town" / "a.b.json").exists()


def test_a_folder_says_what_it_holds(tmp_path):
    store = make(tmp_path)
    write(store)
    store.begin(["older"])
    about = read_run_file(tmp_path)
    assert (about["verb"], about["settings"]) == ("note", {"pipeline": "red"})
    assert about["results"] == ["older", "text", "data", "records", "notes.json"]
    assert store.path("text", "town/a.b").is_file()


def test_a_new_beginning_lets_all_results_go(tmp_path):
    write(make(tmp_path))
    (tmp_path / "mine.txt").write_text("mine")
    store = make(tmp_path, {"pipeline": "blue"})
    store.begin(anew=True)
    assert store.stored == {}
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["mine.txt", "run.json"]


def test_a_kind_may_have_several_files_or_none(tmp_path):
    store = make(tmp_path)
    store.write(item(), "f", {"text": [b"1", b"2"], "data": []}, Note([]))
    assert (tmp_path / "text" / "town" / "a.b" / "2.txt").read_bytes() == b"2"
    assert make(tmp_path).stored["town/a.b"].files == ("text/town/a.b/1.txt", "text/town/a.b/2.txt")
    assert make(tmp_path).done(item(), "f") == Note([])
    store.path("text", "town/a.b/1").unlink()
    assert make(tmp_path).done(item(), "f") is None


def test_inputs_without_files_are_done_where_not_every_one_has_some(tmp_path):
    plan = Plan("note", Note, {}, KINDS, every=False)
    RunStore(tmp_path, plan).write(item(), "f", {}, Note([]))
    assert RunStore(tmp_path, plan).done(item(), "f") == Note([])
    assert RunStore(tmp_path, replace(plan, every=True)).done(item(), "f") is None
    RunStore(tmp_path, replace(plan, every=True)).write(item(), "f", FILES, Note([]))
    assert RunStore(tmp_path, plan).done(item(), "f") == Note([])
