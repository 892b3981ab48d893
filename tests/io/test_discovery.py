import json
import os

import pytest

from oodseg.core.errors import ImageError
from oodseg.core.run_file import RUN_FILE, read_run_file
from oodseg.io.discovery import Skipped, discover, files_below, find_images


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def mark_as_run(folder, *results):
    (folder / RUN_FILE).write_text(json.dumps({"oodseg": "1", "verb": "predict", "results": results}))


def names_of(found, folder):
    return [path.relative_to(folder).as_posix() for path in found]


def skipped(found, reason):
    return sorted(path.name for path in found.skipped.get(reason, ()))


def test_natural_order(tmp_path):
    touch(tmp_path, "10.png", "2.PNG", "1.jpg", "b/3.webp", "notes.txt", ".hidden.png", ".cache/4.png")
    assert names_of(find_images(tmp_path), tmp_path) == ["1.jpg", "2.PNG", "10.png", "b/3.webp"]


def test_each_image_once(tmp_path):
    touch(tmp_path, "a.png", "sub/b.png")
    found = find_images([tmp_path, tmp_path / "a.png", str(tmp_path / "**" / "*.png")])
    assert names_of(found, tmp_path) == ["a.png", "sub/b.png"]


def test_an_empty_path_is_not_the_working_folder(tmp_path, monkeypatch):
    touch(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)
    for paths in ("", ["a.png", ""]):
        with pytest.raises(ImageError, match="one of the paths is empty: name an image"):
            find_images(paths)
    assert len(find_images(".")) == 1


@pytest.mark.parametrize("name", ["images.csv", "IMAGES.PARQUET"])
def test_a_table_alone_is_no_image(tmp_path, name):
    touch(tmp_path, name, "a.png")
    with pytest.raises(ImageError, match=f"{name} is a table, not an image: list the images"):
        find_images(tmp_path / name)
    # A shell makes `*` of all that lies there: it is named as broken when its turn comes.
    assert len(find_images([tmp_path / name, tmp_path / "a.png"])) == 2


def test_a_named_file_is_taken_whatever_its_suffix(tmp_path):
    touch(tmp_path, "scan", "a[1].png")
    found = find_images([tmp_path / "scan", tmp_path / "a[1].png"])
    assert found == [tmp_path / "a[1].png", tmp_path / "scan"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("none.jpg", "does not exist"),
        ("", r"holds no image .*passed over: 1 file that is no image \(notes.txt\)"),
        ("*", r"matches no image .*notes.txt"),
        ("*.jpg", "matches no image: check"),
        ("Thumbs.db", r"no image among the files named .*1 hidden or system file \(Thumbs.db\)"),
    ],
)
def test_nothing_is_found(tmp_path, what, words):
    touch(tmp_path, "notes.txt")
    if what == "Thumbs.db":
        touch(tmp_path, "Thumbs.db")
    with pytest.raises(ImageError, match=words):
        find_images(os.path.join(tmp_path, what))


def test_what_is_passed_over_is_counted_and_named(tmp_path):
    touch(tmp_path, "a.jpg", "._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "1.txt", "@eaDir/a.jpg")
    found = discover(tmp_path)
    assert names_of(found.paths, tmp_path) == ["a.jpg"]
    assert found.summary == (
        "passed over: 1 file that is no image (1.txt); "
        "4 hidden or system files (.DS_Store, ._a.jpg, Thumbs.db, and 1 more); "
        "1 hidden or system folder (@eaDir)"
    )


def test_nothing_passed_over_is_no_line(tmp_path):
    touch(tmp_path, "a.jpg")
    assert discover(tmp_path).summary is None


@pytest.mark.parametrize("readable", [True, False])
def test_phone_formats(tmp_path, monkeypatch, readable):
    """What Pillow reads is read; HEIC is if its library is there, else it is named with the remedy."""
    monkeypatch.setattr("oodseg.io.formats.reads_heif", lambda: readable)
    touch(tmp_path, "1.JPG", "2.HEIC", "3.avif", "4.jfif", "5.gif", "6.mp4")
    found = discover(tmp_path)
    heif = ["2.HEIC"] if readable else []
    assert names_of(found.paths, tmp_path) == sorted(["1.JPG", "3.avif", "4.jfif", "5.gif", *heif])
    assert skipped(found, Skipped.NO_IMAGE) == ["6.mp4"]
    assert ("[heif]'` (2.HEIC)" in found.summary) is not readable


def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path, "photos/a.png", "elsewhere/b.png")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "linked_too").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos")
    found = discover(tmp_path / "photos")
    assert names_of(found.paths, tmp_path / "photos") == ["a.png", "linked/b.png"]
    assert skipped(found, Skipped.AGAIN) == ["back", "linked_too"]


def test_a_folder_goes_by_its_own_name_beside_links_to_it(tmp_path):
    touch(tmp_path, "z/deep/a.png")
    (tmp_path / "a_link").symlink_to(tmp_path / "z" / "deep")
    assert names_of(find_images(tmp_path), tmp_path) == ["z/deep/a.png"]


def test_patterns_come_back_from_circular_links(tmp_path):
    touch(tmp_path, "sub/a.png")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    assert names_of(find_images(str(tmp_path / "**" / "*.png")), tmp_path) == ["sub/a.png"]


@pytest.mark.parametrize("pattern", ["", "**/*.png"])
def test_results_of_runs_are_no_images_and_all_else_is(tmp_path, pattern):
    """Only what the run wrote: not the folders beside it, wherever the run folder lies."""
    touch(tmp_path, "a.png", "sub/b.png", "masks/a.png", "out/masks/a.png", "out/mine/c.png", "masks2/d.png")
    mark_as_run(tmp_path, "masks")
    mark_as_run(tmp_path / "out", "masks")
    found = discover(os.path.join(tmp_path, pattern))
    assert names_of(found.paths, tmp_path) == ["a.png", "masks2/d.png", "out/mine/c.png", "sub/b.png"]
    assert skipped(found, Skipped.RESULTS) == sorted(["out", tmp_path.name])
    assert skipped(found, Skipped.NO_IMAGE) == []


def test_results_that_are_named_are_taken(tmp_path):
    touch(tmp_path, "masks/a.png", "masks/town/b.png")
    mark_as_run(tmp_path, "masks")
    for named in (tmp_path / "masks", tmp_path / "masks" / "a.png", str(tmp_path / "masks" / "**" / "*.png")):
        assert tmp_path / "masks" / "a.png" in find_images(named)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{}", '{"results": ["masks"]}', '{"oodseg": 1, "results": 3}']
)
def test_a_file_of_another_program_marks_no_results(tmp_path, text):
    touch(tmp_path, "masks/a.png")
    (tmp_path / RUN_FILE).write_text(text)
    assert read_run_file(tmp_path) == {}
    assert names_of(find_images(tmp_path), tmp_path) == ["masks/a.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png")
    real = os.listdir

    def listdir(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("oodseg.io.discovery.os.listdir", listdir)
    found = discover(tmp_path)
    assert names_of(found.paths, tmp_path) == ["a.png"]
    assert "1 folder that cannot be read (locked)" in found.summary


def test_files_below_follows_links(tmp_path):
    touch(tmp_path, "far/a.npy", "scores/b.npy")
    (tmp_path / "scores" / "more").symlink_to(tmp_path / "far")
    assert names_of(files_below(tmp_path / "scores"), tmp_path / "scores") == ["b.npy", "more/a.npy"]
