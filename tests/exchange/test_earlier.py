"""Exports into a folder that holds an earlier one."""

import json
import os

import pytest

from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.registry import names
from oodseg.exchange import read, write
from oodseg.exchange.earlier import RECORD
from oodseg.exchange.transfer import format_of

FORMATS = [name for name in names("formats") if not format_of(name).submission]


def files(out):
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("placement", ["copy", "link", "none"])
def test_the_folder_comes_out_as_a_new_one_would(name, placement, labelled, tmp_path):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    write(labelled, out, name, images=placement)
    notes = write(labelled[:1], out, name, images=placement).notes
    write(labelled[:1], fresh, name, images=placement)
    assert files(out) == files(fresh)
    assert not any("remove them" in note for note in notes)
    if placement != "none":  # YOLO's labels cannot be read without
        write(labelled, out, name, images=placement)
        assert len(read(out, name)) == len(labelled)


@pytest.mark.parametrize("name", FORMATS)
def test_corrected_labels_are_never_written_over(name, labelled, tmp_path):
    out = tmp_path / "out"
    write(labelled, out, name, images="none")
    file = max((out / each for each in files(out) - {RECORD}), key=lambda path: path.stat().st_size)
    file.write_bytes(file.read_bytes() + b" ")
    before = {each: (out / each).read_bytes() for each in files(out)}
    with pytest.raises(ConfigError, match=rf"changed since they were exported \(.*{file.name}.*--out"):
        write(labelled, out, name, images="none")
    assert {each: (out / each).read_bytes() for each in files(out)} == before


def test_a_users_own_files_stay(labelled, tmp_path):
    out = tmp_path / "out"
    write(labelled, out, "labelme")
    (out / "notes.txt").write_text("mine")
    (out / "other.json").write_text("{}")
    (out / labelled[1].name).write_bytes(b"painted over")
    notes = write(labelled[:1], out, "labelme").notes
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "other.json").is_file()
    assert (out / labelled[1].name).read_bytes() == b"painted over"
    assert any("that have changed" in note and labelled[1].name in note for note in notes)


def test_a_copy_whose_image_is_gone_stays(labelled, tmp_path):
    out = tmp_path / "out"
    write(labelled, out, "yolo")
    labelled[1].path.unlink()
    notes = write(labelled[:1], out, "yolo").notes
    assert (out / "images" / labelled[1].name).is_file()
    assert any("no longer where they came from" in note for note in notes)


def test_images_in_the_folder_of_their_labels_stay(labelled, tmp_path):
    out = labelled[0].path.parent
    images = files(out)
    write(labelled, out, "labelme")
    write(labelled[:1], out, "labelme")
    assert images < files(out)
    assert len(files(out) - images) == 2  # one label, and the account


@pytest.mark.parametrize("name", ["smiyc", "oodis"])
def test_what_goes_to_a_server_holds_nothing_else(name, labelled, tmp_path):
    write(labelled, tmp_path / "out", name)
    assert RECORD not in files(tmp_path / "out")


def test_an_export_that_was_broken_off_is_written_again(labelled, tmp_path):
    out = tmp_path / "out"
    write(labelled, out, "labelme")
    place = labelled[1].path
    place.rename(tmp_path / "aside")
    with pytest.raises(ImageError, match="is gone"):
        write(labelled, out, "labelme")
    os.rename(tmp_path / "aside", place)
    assert write(labelled, out, "labelme").images == len(labelled)


def test_a_broken_account_counts_as_none(labelled, tmp_path):
    write(labelled, tmp_path / "out", "yolo")
    for text in ("", "[]", "{}", '{"format": "YOLO segmentation", "images": 3, "labels": {}}'):
        (tmp_path / "out" / RECORD).write_text(text)
        assert write(labelled, tmp_path / "out", "yolo").images == len(labelled)
        account = json.loads((tmp_path / "out" / RECORD).read_text())
        assert len(account["images"]) == len(labelled) <= len(account["labels"])
