"""Images and labels in sub folders, with accents, and with links that lead nowhere."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.core.input_warnings import collect_warnings
from oodseg.data import open_dataset
from oodseg.data.labelled import labelled_images
from oodseg.data.plain_masks import objects_of_masks
from oodseg.data.verify import verify
from oodseg.io.score_files import ScoreFiles

LABEL = np.zeros((24, 32), np.uint8)
LABEL[4:12, 6:20] = 1


def put(path, values=LABEL):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def names(root):
    with collect_warnings(forward=False) as warned:
        found = open_dataset(root)
    return [frame.name for frame in found.frames], warned


@pytest.mark.parametrize("labels", ["labels", "labels_masks"])
def test_sub_folders_are_read(tmp_path, labels):
    for name in ("a", "town/10", "town/2", "other/2"):
        put(tmp_path / "images" / f"{name}.jpg")
        put(tmp_path / labels / f"{name}.png")
    assert names(tmp_path) == (["a", "other/2", "town/2", "town/10"], [])
    assert verify(open_dataset(tmp_path)).codes == {0: 4 * (24 * 32 - 8 * 14), 1: 4 * 8 * 14}


def test_what_has_no_counterpart_in_sub_folders_is_named(tmp_path):
    for name in ("images/a.jpg", "labels/a.png", "images/small/a.jpg", "labels/colour/a.png"):
        put(tmp_path / name)
    found, warned = names(tmp_path)
    assert found == ["a"]
    assert len(warned) == 1
    assert "2 files in sub folders are passed over" in warned[0]
    assert "small/a.jpg" in warned[0]
    (tmp_path / "labels" / "a.png").unlink()
    (tmp_path / "images" / "a.jpg").unlink()
    with collect_warnings(forward=False), pytest.raises(DatasetError, match="has a label of its name"):
        open_dataset(tmp_path)


def test_labels_of_several_formats(tmp_path):
    for name in ("images/a.jpg", "labels/a.png", "images/b.jpg", "labels/b.tif", "labels/preview.tif"):
        put(tmp_path / name)
    assert names(tmp_path) == (["a", "b"], [])


def test_one_name_in_two_spellings(tmp_path):
    apart, together = (unicodedata.normalize(form, "Köln é") for form in ("NFD", "NFC"))
    assert apart != together
    put(tmp_path / "images" / f"{apart}.png")
    put(tmp_path / "labels" / f"{together}.png")
    assert names(tmp_path) == ([together], [])
    np.save(tmp_path / f"{apart}.npy", LABEL)
    scores = ScoreFiles(tmp_path)
    assert scores.find(apart) == scores.find(together) == tmp_path / f"{apart}.npy"


def test_a_link_that_leads_nowhere_is_no_missing_image(tmp_path):
    put(tmp_path / "labels" / "a.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").symlink_to("gone.png")
    with pytest.raises(DatasetError, match=r"a\.png is a link to gone\.png, where no file is"):
        verify(open_dataset(tmp_path))


def test_labels_to_learn_from(tmp_path):
    for name in ("a", "town/a"):
        put(tmp_path / "images" / f"{name}.jpg")
        put(tmp_path / "labels" / f"{name}.png")
    assert [each.name for each in labelled_images(tmp_path)] == ["a", "town/a"]


def test_masks_in_any_case_and_images_without(tmp_path):
    for name in ("a", "town/a", "b"):
        put(tmp_path / "images" / f"{name}.jpg", np.zeros((24, 32, 3), np.uint8))
    put(tmp_path / "masks" / "a.PNG")
    put(tmp_path / "masks" / "town" / "a.png", LABEL * 255)
    with collect_warnings(forward=False) as warned:
        found = objects_of_masks(tmp_path)
    assert [(each.name, [one.area for one in each.objects]) for each in found] == [
        ("a.jpg", [112]),
        ("town/a.jpg", [112]),
    ]
    assert warned == [f"images in {tmp_path / 'images'} without a mask are left out, 1 of them (b.jpg)"]
