import json
from dataclasses import dataclass

import pytest

from oodseg.core.errors import ConfigError
from oodseg.runs.store import RunStore


@dataclass(frozen=True)
class Note:
    words: list
    milliseconds: float = 1.5


FILES = {"text": b"hello", "data": b"\0\1"}


def make(out, settings=None, kinds=None, **options):
    return RunStore(
        out,
        Note,
        settings or {"pipeline": "red"},
        kinds or {"text": ".txt", "data": ".bin"},
        stale=[("data", ".bin"), ("data", ".npy")],
        **options,
    )


def write(store, key="town/a.b", identity=("x",)):
    store.write(key, store.fingerprint(list(identity)), FILES, Note(["one"]))


def done(store, key="town/a.b", identity=("x",)):
    return store.done(key, store.fingerprint(list(identity)))


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


@pytest.mark.parametrize("change", ["settings", "identity", "fresh", "file", "kinds", "key"])
def test_what_changed_is_not_done(tmp_path, change):
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
    assert later.records == {}


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


def test_other_settings_leave_no_stale_files(tmp_path):
    write(make(tmp_path))
    store = make(tmp_path, kinds={"data": ".npy"})
    write(store)
    assert sorted(path.name for path in (tmp_path / "data").rglob("*.*")) == ["a.b.npy"]


def test_what_failed_leaves_nothing(tmp_path):
    write(make(tmp_path))
    store = make(tmp_path)
    done(store)
    store.fail("town/a.b", "it is empty")
    assert store.failures == {"town/a.b": "it is empty"}
    assert store.records == {}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_record_is_taken_away_before_its_files_are_written(tmp_path):
    write(make(tmp_path))
    store = make(tmp_path)
    with pytest.raises(KeyError):
        store.write("town/a.b", "f", {"text": b"only this"}, Note([]))
    assert not (tmp_path / "records" / "town" / "a.b.json").exists()


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        make(tmp_path / "out")
