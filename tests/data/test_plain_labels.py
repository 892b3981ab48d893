"""Labels of a plain folder in formats other than PNG."""

import miniature
import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.data import open_dataset


def stored_as(root, *suffixes):
    """The plain miniature with its labels in other formats."""
    miniature.plain(root)
    for path in sorted((root / "labels").glob("*.png")):
        for suffix in suffixes:
            Image.open(path).save(path.with_suffix(suffix))
        path.unlink()
    return root


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".bmp", ".gif", ".pgm"])
def test_other_formats_without_loss(tmp_path, suffix):
    expected = [frame.label for frame in open_dataset(miniature.plain(tmp_path / "png")).frames]
    found = open_dataset(stored_as(tmp_path / "set", suffix))
    assert found.key == "plain"
    for frame, label in zip(found.frames, expected, strict=True):
        assert np.array_equal(frame.label, label)


def test_jpeg_is_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match=r"2\.jpg is a JPEG, whose compression changes codes"):
        open_dataset(stored_as(tmp_path, ".jpg"))


def test_two_labels_of_one_image(tmp_path):
    with pytest.raises(DatasetError, match=r"2\.bmp and .*2\.tif are labels of one image: remove one"):
        open_dataset(stored_as(tmp_path, ".tif", ".bmp"))


def test_pngs_have_precedence(tmp_path):
    miniature.plain(tmp_path)
    Image.new("L", (9, 9)).save(tmp_path / "labels" / "2.jpg")
    assert [frame.name for frame in open_dataset(tmp_path).frames] == ["2", "10"]


def test_labels_that_are_no_images(tmp_path):
    miniature.plain(tmp_path)
    for path in (tmp_path / "labels").glob("*.png"):
        np.save(path.with_suffix(".npy"), np.zeros((4, 4)))
        path.unlink()
    with pytest.raises(DatasetError, match=r"labels holds no label images but \.npy; save one PNG of"):
        open_dataset(tmp_path)
