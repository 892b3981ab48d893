import errno
import json
import os

import pytest

from oodseg.core.errors import OodsegError
from oodseg.core.files import atomic_path, is_hidden, is_temporary, shorten_name, write_bytes, write_json


def test_writes_and_makes_folders(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"whole")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"whole"
    write_json(tmp_path / "d.json", {"ä": [1, 2.5, None]})
    assert json.loads((tmp_path / "d.json").read_text("utf-8")) == {"ä": [1, 2.5, None]}


def test_names_that_are_no_utf8_come_back(tmp_path):
    name = os.fsdecode(b"stra\xdfe.png")
    write_json(tmp_path / "a.json", {"file_name": name})
    assert json.loads((tmp_path / "a.json").read_bytes())["file_name"] == name


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "b_" + "\N{CJK UNIFIED IDEOGRAPH-8857}" * 81 + ".png"])
def test_names_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    write_bytes(tmp_path / name, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


@pytest.mark.parametrize("room", [0, 5, 14])
@pytest.mark.parametrize("letter", ["a", "\N{CJK UNIFIED IDEOGRAPH-8857}", os.fsdecode(b"\xdf")])
def test_names_are_cut_to_what_leaves_room(letter, room):
    size = len(os.fsencode(letter))
    fits = letter * ((255 - room) // size)
    assert shorten_name(fits, room) == fits
    long = [letter * (255 // size), letter * (255 // size - 1) + "b" * size]
    cut = [shorten_name(name, room) for name in long]
    if room:
        assert len({fits, *cut}) == 3
    assert all(len(os.fsencode(name)) + room <= 255 for name in cut)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [(".git", True), ("._a.png", True), ("Thumbs.db", True), ("__MACOSX", True), ("a.png", False)],
)
def test_what_is_hidden(name, hidden):
    assert is_hidden(name) is hidden


def test_what_is_being_written_is_told_from_other_files(tmp_path):
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.touch()
        assert is_temporary(temporary.name)
    assert not any(is_temporary(name) for name in ("a.json", "a.part", ".hidden.1.part", ".0123abcd.part"))


def test_json_refuses_what_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_whatever_breaks_off_leaves_the_old_file(tmp_path, fault):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(fault), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        assert target.read_bytes() == b"old"
        raise fault
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full: .*a.bin could not be written; free some space"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "cannot write .*a.bin: Permission denied; choose a place"),
        (errno.EROFS, "cannot write .*a.bin: Read-only file system"),
    ],
)
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_failing_writes_become_one_sentence(tmp_path, monkeypatch, code, words, where):
    def failing(*args):
        raise OSError(code, os.strerror(code))

    (tmp_path / "a.bin").write_bytes(b"old")
    monkeypatch.setattr(f"oodseg.core.files.os.{where}", failing)
    with pytest.raises(OodsegError, match=words) as error:
        write_bytes(tmp_path / "a.bin", b"new")
    assert "\n" not in str(error.value)
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(OodsegError, match="cannot write"):
        write_bytes(tmp_path / "taken" / "a.bin", b"new")
    assert (tmp_path / "taken").read_bytes() == b"mine"
