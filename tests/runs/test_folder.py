"""A folder never loses what is in it."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from oodseg.core.errors import ConfigError
from oodseg.runs.folder import common_root, open_run, settle
from oodseg.runs.items import Source, file_items
from oodseg.runs.store import Plan, Stored


@dataclass(frozen=True)
class Note:
    milliseconds: float = 1.0


def plan(verb="note", fresh=False, **settings):
    return Plan(verb, Note, settings or {"masks": "box"}, {"text": ".txt"}, ("notes.json",), fresh)


def photos(folder, *names):
    return [folder / name for name in names]


def run(paths, out, default="unused", chosen=None):
    """Writes every input's name; returns the folder and the keys."""
    items = file_items(paths)
    ready = open_run(chosen or plan(), Source(items, len(items)), out, default)
    for item in ready.source.items:
        ready.store.write(item, "f", {"text": item.name.encode()}, Note())
    return ready


def keys(ready):
    return [item.key for item in ready.source.items]


def texts(folder):
    return {
        path.relative_to(folder / "text").as_posix(): path.read_text()
        for path in sorted((folder / "text").rglob("*.txt"))
    }


def test_further_images_join_those_that_are_there(tmp_path):
    run(photos(tmp_path / "p", "a.jpg", "t/b.jpg"), tmp_path / "out")
    ready = run(photos(tmp_path / "p", "t/c.jpg"), tmp_path / "out")
    assert keys(ready) == ["t/c"]
    assert texts(tmp_path / "out") == {"a.txt": "a.jpg", "t/b.txt": "t/b.jpg", "t/c.txt": "t/c.jpg"}
    assert ready.note is None


def test_an_image_keeps_its_key_whatever_is_asked_for_beside_it(tmp_path):
    """The folder common to all images is another one each time."""
    out = tmp_path / "out"
    assert keys(run(photos(tmp_path / "p", "t/a.jpg"), out)) == ["a"]
    assert keys(run(photos(tmp_path / "p", "t/a.jpg", "u/a.jpg"), out)) == ["a", "u/a"]
    assert keys(run(photos(tmp_path / "p", "u/a.jpg"), out)) == ["u/a"]
    assert keys(run(photos(tmp_path, "p/u/a.jpg", "q/b.jpg"), out)) == ["u/a", "q/b"]


def test_shards_from_several_places_join(tmp_path):
    run(photos(tmp_path / "shard1", "1.jpg"), tmp_path / "out")
    run(photos(tmp_path / "shard2", "2.jpg"), tmp_path / "out")
    assert texts(tmp_path / "out") == {"1.txt": "1.jpg", "2.txt": "2.jpg"}


def test_two_files_that_differ_in_the_suffix_alone(tmp_path):
    assert keys(run(photos(tmp_path, "a.jpg"), tmp_path / "out")) == ["a"]
    assert keys(run(photos(tmp_path, "a.png"), tmp_path / "out")) == ["a.png"]
    assert keys(run(photos(tmp_path, "A.bmp", "a.jpg"), tmp_path / "out")) == ["A.bmp", "a"]


def test_another_image_of_the_same_name_is_refused(tmp_path):
    run(photos(tmp_path / "p", "1.jpg"), tmp_path / "out")
    with pytest.raises(ConfigError, match=r"holds results of .*p/1.jpg, which those of .*q/1.jpg would repl"):
        run(photos(tmp_path / "q", "1.jpg", "2.jpg"), tmp_path / "out")
    assert texts(tmp_path / "out") == {"1.txt": "1.jpg"}
    run(photos(tmp_path / "q", "1.jpg", "2.jpg"), tmp_path / "out", chosen=plan(fresh=True))
    assert texts(tmp_path / "out") == {"1.txt": "1.jpg", "2.txt": "2.jpg"}


def test_other_settings_are_refused_in_words(tmp_path):
    out = tmp_path / "out"
    run(
        photos(tmp_path, "1.jpg"),
        out,
        chosen=plan(masks="box", detector=None, scores={"mean": 1}, sha256="a", codes="0" * 99),
    )
    other = plan(masks="grabcut", detector="x:y", scores={"mean": 2}, sha256="b", codes="1" * 99)
    with pytest.raises(ConfigError) as error:
        run(photos(tmp_path, "2.jpg"), out, chosen=other)
    for words in (
        "masks was box, is grabcut",
        "detector was none, is x:y",
        "scores mean was 1, is 2",
        "another sha256",
        "other codes",
    ):
        assert words in str(error.value)
    assert str(error.value).endswith("choose another folder (--out), or let them go (--overwrite)")
    assert texts(out) == {"1.txt": "1.jpg"}


def test_results_of_other_settings_go_where_that_is_wished(tmp_path):
    run(photos(tmp_path, "1.jpg", "2.jpg"), tmp_path / "out")
    run(photos(tmp_path, "2.jpg"), tmp_path / "out", chosen=plan(fresh=True, masks="grabcut"))
    assert texts(tmp_path / "out") == {"2.txt": "2.jpg"}
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["settings"] == {"masks": "grabcut"}


def test_a_fresh_run_under_the_same_settings_keeps_the_others(tmp_path):
    run(photos(tmp_path, "1.jpg", "2.jpg"), tmp_path / "out")
    run(photos(tmp_path, "2.jpg"), tmp_path / "out", chosen=plan(fresh=True))
    assert set(texts(tmp_path / "out")) == {"1.txt", "2.txt"}


def test_another_version_counts_as_other_settings(tmp_path, monkeypatch):
    run(photos(tmp_path, "1.jpg"), tmp_path / "out")
    monkeypatch.setattr("oodseg.runs.folder.__version__", "9.9")
    with pytest.raises(ConfigError, match=r"oodseg was .*, is 9.9"):
        run(photos(tmp_path, "1.jpg"), tmp_path / "out")


def test_the_folder_of_another_verb_is_refused(tmp_path):
    run(photos(tmp_path, "1.jpg"), tmp_path / "out")
    for fresh in (True, False):
        with pytest.raises(ConfigError, match="holds results of `oodseg note`: choose another folder"):
            run(photos(tmp_path, "1.jpg"), tmp_path / "out", chosen=plan("judge", fresh))


@pytest.mark.parametrize("name", ["text/mine.txt", "records/mine.json", "notes.json"])
def test_what_a_user_has_there_is_never_touched(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    for fresh in (True, False):
        with pytest.raises(ConfigError, match="was not written by `oodseg note`: choose another folder"):
            run(photos(tmp_path, "1.jpg"), tmp_path, chosen=plan(fresh=fresh))
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"oodseg": "1", "results": ["masks"], "settings": 5}'])
def test_a_damaged_account_of_the_folder_is_named(tmp_path, text):
    (tmp_path / "out" / "records").mkdir(parents=True)
    (tmp_path / "out" / "run.json").write_text(text)
    with pytest.raises(ConfigError, match=r"run.json is damaged, so nothing says what records beside it"):
        run(photos(tmp_path, "1.jpg"), tmp_path / "out")


def test_other_files_beside_the_results_do_not_matter(tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    assert keys(run(photos(tmp_path, "1.jpg"), tmp_path)) == ["1"]


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        run(photos(tmp_path, "1.jpg"), tmp_path / "out")


def test_where_no_folder_is_named_runs_are_numbered(tmp_path):
    default = str(tmp_path / "results")
    first = run(photos(tmp_path / "p", "1.jpg"), None, default)
    assert (first.store.out, first.note) == (Path(default), None)
    second = run(photos(tmp_path / "q", "1.jpg"), None, default)
    assert second.store.out == Path(default, "2")
    assert "would replace; so these results are in" in second.note
    third = run(photos(tmp_path / "p", "1.jpg"), None, default, plan(masks="grabcut"))
    assert third.store.out == Path(default, "3")
    assert "masks was box, is grabcut" in third.note
    again = run(photos(tmp_path / "q", "1.jpg", "2.jpg"), None, default)
    assert again.store.out == second.store.out
    assert texts(first.store.out) == {"1.txt": "1.jpg"}


def test_an_unnamed_folder_loses_nothing_to_a_fresh_run(tmp_path):
    default = str(tmp_path / "results")
    run(photos(tmp_path / "p", "1.jpg"), None, default)
    for chosen in (plan(fresh=True, masks="grabcut"), plan(fresh=True)):
        ready = run(photos(tmp_path / "q", "1.jpg"), None, default, chosen)
        assert ready.store.out != Path(default)
    same = run(photos(tmp_path / "p", "1.jpg"), None, default, plan(fresh=True))
    assert same.store.out == Path(default)


def test_images_in_memory_do_not_take_the_place_of_files(tmp_path):
    from oodseg.runs.items import Item

    known = {"a": Stored("f", "a.jpg", "/p/a.jpg", {}, True, (), Note())}
    with pytest.raises(ConfigError, match="which those of the image 'a' would replace"):
        settle([Item("a", "a", None, None)], known, tmp_path)


@pytest.mark.parametrize(
    ("stored", "root"),
    [
        ([("a.jpg", "/p/a.jpg"), ("t/b.jpg", "/p/t/b.jpg")], Path("/p")),
        ([("a.jpg", "/p/a.jpg"), ("b.jpg", "/q/b.jpg")], None),
        ([("a", None)], None),
        ([], None),
    ],
)
def test_the_folder_that_names_start_from(stored, root):
    assert common_root(Stored("f", name, origin, {}, True, (), Note()) for name, origin in stored) == root
