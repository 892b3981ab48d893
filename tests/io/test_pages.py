import cv2
import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import DatasetError, ScoreMapError
from oodseg.core.input_warnings import collect_warnings
from oodseg.io.images import read_image
from oodseg.io.labels import read_label
from oodseg.io.masks import read_mask
from oodseg.io.scoremaps import read_score_map

FIRST, SECOND = np.zeros((20, 30), np.uint8), np.full((20, 30), 255, np.uint8)
FIRST[4:9, 5:12] = 1


def save(path, *pages):
    first, *others = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=others, lossless=True)
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_the_first_of_several_images_is_taken_and_said_to_be(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", FIRST, SECOND)
    with collect_warnings(forward=False) as warned:
        assert read_image(path).max() <= 1
    assert warned == [
        f"{path} holds 2 images, of which the first is taken: save the others as files of their own"
    ]


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_a_label_of_several_images_is_refused(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", FIRST, SECOND)
    with pytest.raises(DatasetError, match=r"holds 2 images: save the codes of all classes as one image"):
        read_label(path)


def test_smaller_copies_in_a_tiff_are_no_other_images(tmp_path):
    path = save(tmp_path / "a.tif", FIRST, FIRST[::2, ::2])
    np.testing.assert_array_equal(read_label(path), FIRST)
    with collect_warnings(forward=False) as warned:
        assert read_image(path).shape == (20, 30, 3)
    assert warned == []


def save_floats(path, *pages):
    """Saves what OpenCV alone reads: TIFF of several float64 images in RGB."""
    cv2.imwritemulti(str(path), [np.dstack([page] * 3).astype(np.float64) for page in pages])
    return path


def test_pages_of_a_tiff_that_pillow_cannot_read(tmp_path):
    path = save_floats(tmp_path / "a.tif", FIRST, SECOND / 255, FIRST)
    with pytest.raises(DatasetError, match=r"the label .*a\.tif holds 3 images: save the codes"):
        read_label(path)
    for read in (read_image, read_mask):
        with collect_warnings(forward=False) as warned:
            read(path)
        assert warned == [
            f"{path} holds 3 images, of which the first is taken: save the others as files of their own"
        ]
    with pytest.raises(ScoreMapError, match=r"a\.tif holds 3 images: save one map per image"):
        read_score_map(path)


def test_smaller_copies_in_a_tiff_that_pillow_cannot_read(tmp_path):
    path = save_floats(tmp_path / "a.tif", FIRST, FIRST[::2, ::2])
    np.testing.assert_array_equal(read_label(path), FIRST)
    np.testing.assert_array_equal(read_score_map(path).scores, FIRST)
    with collect_warnings(forward=False) as warned:
        read_image(path)
    assert warned == []


def test_depth_beside_a_photo_is_no_other_image(tmp_path):
    Image.fromarray(FIRST).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.fromarray(SECOND)]
    )
    with collect_warnings(forward=False) as warned:
        read_image(tmp_path / "a.jpg")
    assert warned == []
