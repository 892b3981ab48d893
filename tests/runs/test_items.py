import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.input_warnings import InputWarning
from oodseg.runs.items import open_source
from redness import save_street, street


def test_a_folder_becomes_items_in_natural_order(tmp_path):
    for name in ("10.png", "2.png", "town/1.png"):
        save_street(tmp_path / name)
    source = open_source(tmp_path)
    assert [(item.key, item.name) for item in source.items] == [
        ("2", "2.png"), ("10", "10.png"), ("town/1", "town/1.png"),
    ]  # fmt: skip
    assert source.total == 3
    item = source.items[0]
    assert np.array_equal(item.read(), street())
    before = item.identity()
    save_street(tmp_path / "2.png", (0, 0, 30, 30))
    assert item.identity() != before


def test_what_is_passed_over_is_said(tmp_path):
    save_street(tmp_path / "1.png")
    (tmp_path / "notes.txt").write_text("a")
    for source in (tmp_path, [tmp_path]):
        with pytest.warns(InputWarning, match=r"passed over: 1 file that is no image \(notes.txt\)"):
            open_source(source)


def test_an_iterator_is_read_one_by_one():
    def endless():
        while True:
            yield street()

    source = open_source(endless())
    assert source.total is None
    items = iter(source.items)
    assert [next(items).key for _ in range(3)] == ["000000", "000001", "000002"]


@pytest.mark.parametrize("image", [street(), Image.fromarray(street())])
def test_a_single_image_is_a_source_of_one(image):
    (item,) = open_source(image).items
    assert np.array_equal(item.read(), street())


def test_an_array_of_images_is_a_source_of_many():
    assert open_source(np.stack([street(), street()])).total is None


def test_files_and_images_in_memory_do_not_go_together(tmp_path):
    with pytest.raises(ConfigError, match="do not go together"):
        open_source([save_street(tmp_path / "1.png"), street()])


def test_an_empty_list_is_an_empty_source():
    assert (list(open_source([]).items), open_source([]).total) == ([], 0)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "."])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(ConfigError, match="cannot name an image"):
        list(open_source(iter([(name, street())])).items)


def test_two_images_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two images are called 'A'"):
        open_source([("a", street()), ("A", street())])


@pytest.mark.parametrize(("source", "error", "words"), [
    (3, ConfigError, "a int holds no images"),
    ("none.png", ImageError, "does not exist"),
])  # fmt: skip
def test_what_is_no_source(source, error, words):
    with pytest.raises(error, match=words):
        open_source(source)


def test_a_volume_is_shown_the_way(tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"x")
    with pytest.raises(ConfigError, match="oodseg volumes"):
        open_source(tmp_path / "scan.nii.gz")
