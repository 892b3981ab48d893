import io

import pytest

from oodseg.core.errors import ImageError
from oodseg.io.discovery import Skipped, discover, find_images
from oodseg.io.lists import may_be_list, read_list


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "town/c.png", "other/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names_of(found):
    return [path.as_posix() for path in found]


@pytest.mark.parametrize("name", ["list.txt", "LIST.LST", "a.list"])
def test_a_text_file_lists_files_folders_and_patterns(photos, name):
    (photos / name).write_text("# the first drive\n\nb.png\n  town  \nother/*.png\n")
    assert names_of(find_images(name)) == ["b.png", "other/d.png", "town/c.png"]


def test_paths_may_be_relative_to_the_list(photos):
    (photos / "town" / "list.txt").write_text("c.png\n../a.png\n*.png")
    assert read_list("town/list.txt") == ["town/c.png", "town/../a.png", "*.png"]
    (photos / "a.png").unlink()
    (photos / "b.png").unlink()
    assert read_list("town/list.txt")[2] == "town/*.png"


@pytest.mark.parametrize("text", ["a.png\nb.png\n", "a.png\0b.png\0", "a.png\r\nb.png"])
def test_standard_input(photos, monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert names_of(find_images("-")) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfa.png\r\nb.png\r\n",
        "\ufeffa.png\r\nb.png\r\n".encode("utf-16-le"),
        "\ufeffa.png\nb.png".encode("utf-16-be"),
        b"\"a.png\"\n'b.png'\n",
    ],
)
def test_lists_as_other_systems_write_them(photos, monkeypatch, data):
    (photos / "list.txt").write_bytes(data)
    assert names_of(find_images("list.txt")) == ["a.png", "b.png"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert names_of(find_images("-")) == ["a.png", "b.png"]


def test_quotes_that_belong_to_a_name(photos):
    (photos / "'a.png'").write_bytes(b"x")
    (photos / "list.txt").write_text("'a.png'\n")
    assert names_of(find_images("list.txt")) == ["'a.png'"]


def test_names_in_standard_input_that_are_no_utf_8(photos, monkeypatch):
    (photos / "\udcff.png").write_bytes(b"x")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff.png\n")))
    assert names_of(find_images("-")) == ["\udcff.png"]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("Köln.png", "cp1252"), ("Köln.png", "mac_roman"), ("Łódź.png", "cp1250"), ("道路.png", "cp932")],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_names_in_an_older_encoding(photos, monkeypatch, name, encoding, quote):
    (photos / name).write_bytes(b"x")
    data = f"{quote}{name}{quote}\r\nb.png\r\n".encode(encoding)
    (photos / "list.txt").write_bytes(data)
    assert read_list("list.txt") == [name, "b.png"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read_list("-") == [name, "b.png"]


def test_a_list_in_another_encoding_whose_files_are_gone(photos):
    (photos / "list.txt").write_bytes("Köln.png\n".encode("cp1252"))
    with pytest.raises(ImageError, match=r"list.txt begins with K\ufffdln.png, .*: save the list in UTF-8"):
        read_list("list.txt")


def test_a_file_that_is_gone_is_reported_when_its_turn_comes(photos):
    (photos / "list.txt").write_text("a.png\ngone.png\n")
    assert names_of(find_images("list.txt")) == ["a.png", "gone.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "lists no image"), ("# none\n", "lists no image"), ("x.png\na.png", "x.png, which does not")],
)
def test_what_is_no_list(photos, monkeypatch, text, words):
    (photos / "list.txt").write_text(text)
    with pytest.raises(ImageError, match=f"list.txt .*{words}"):
        find_images("list.txt")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(ImageError, match=f"standard input .*{words}"):
        find_images("-")
    found = discover(["a.png", "list.txt"])
    assert names_of(found.paths) == ["a.png"]
    assert names_of(found.skipped[Skipped.NO_IMAGE]) == ["list.txt"]


def test_what_may_be_a_list(photos):
    (photos / "folder.txt").mkdir()
    assert may_be_list("-")
    assert not any(map(may_be_list, ["a.png", "folder.txt", "missing.txt", "notes.md"]))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("#1.jpg", "#1.jpg"),
        ("sub\\a.jpg", "sub/a.jpg"),
        ('"sub\\a.jpg"', "sub/a.jpg"),
        ("Ko\u0308ln.jpg", "K\u00f6ln.jpg"),
        ("K\u00f6ln.jpg", "Ko\u0308ln.jpg"),
        ("a\u2028b.jpg", "a\u2028b.jpg"),
        ("a\x85b.jpg", "a\x85b.jpg"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_names_as_they_are_on_disk(tmp_path, written, name, end):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "list.txt").write_bytes(f"# images{end}{written}{end}{end}".encode())
    assert read_list(str(tmp_path / "list.txt")) == [str(tmp_path / name)]
