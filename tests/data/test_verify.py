import warnings

import miniature
import numpy as np
import pytest
from PIL import Image

import oodseg.io.sizes as module
from oodseg.core.errors import DatasetError
from oodseg.core.input_warnings import InputWarning
from oodseg.data import open_dataset, verify
from oodseg.io.images import read_image


def test_says_what_a_set_holds(tmp_path):
    miniature.save(tmp_path / "labels" / "30.png", miniature.label(0))
    miniature.image(tmp_path / "images" / "30.jpg")
    done = []
    found = verify(open_dataset(miniature.plain(tmp_path, anomaly=2)), lambda *told: done.append(told[1:]))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert (found.labelled, found.images, found.empty) == (3, 3, 1)
    assert list(found.codes) == [0, 2, 255]
    assert found.meaning == {0: 0, 2: 1, 255: 255}
    assert sum(found.codes.values()) == 3 * 24 * 32


def test_the_fingerprint_follows_names_and_labels_but_not_images(tmp_path):
    def fingerprint(root):
        return verify(open_dataset(root)).fingerprint

    first = fingerprint(miniature.plain(tmp_path / "a"))
    assert fingerprint(miniature.plain(tmp_path / "b")) == first
    miniature.image(tmp_path / "b" / "images" / "2.jpg", seed=9)
    assert fingerprint(tmp_path / "b") == first
    assert fingerprint(miniature.plain(tmp_path / "c", names=("2", "11"))) != first
    miniature.save(tmp_path / "b" / "labels" / "2.png", miniature.label(0, 1, 1))
    assert fingerprint(tmp_path / "b") != first


@pytest.mark.parametrize("codes", [(0, 255), (0, 0, 255)])
def test_labels_of_0_and_255_alone_are_explained(tmp_path, codes):
    for path in (miniature.plain(tmp_path) / "labels").iterdir():
        miniature.save(path, miniature.label(*codes))
    with pytest.warns(
        InputWarning, match="hold 0 and 255 alone, and 255 means ignore: .*--anomaly-value 255"
    ):
        assert verify(open_dataset(tmp_path)).empty == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verify(open_dataset(tmp_path, anomaly_value=255)).empty == 0


@pytest.mark.parametrize("codes", [(0,), (0, 1), (0, 1, 255)])
def test_other_labels_need_no_explanation(tmp_path, codes):
    for path in (miniature.plain(tmp_path) / "labels").iterdir():
        miniature.save(path, miniature.label(*codes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verify(open_dataset(tmp_path))


def photograph(path, orientation, size=miniature.SIZE):
    """An image whose pixels are stored otherwise than they are shown."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path, exif=exif)


@pytest.mark.parametrize("orientation", range(5, 9))
def test_labels_of_photographs_on_their_side_are_upright(tmp_path, orientation):
    height, width = miniature.SIZE
    root = miniature.plain(tmp_path)
    photograph(root / "images" / "2.jpg", orientation, (width, height))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = verify(open_dataset(root))
    frame = found.dataset.frames[0]
    assert frame.label.shape == read_image(frame.image_path).shape[:2] == miniature.SIZE
    photograph(root / "images" / "2.jpg", orientation)
    with pytest.raises(
        DatasetError, match=r"2\.png \(32x24 pixels\) is drawn on the stored pixels of .*2\.jpg"
    ):
        verify(open_dataset(root))


@pytest.mark.parametrize(("orientation", "size"), [(3, (24, 32)), (2, (24, 32)), (6, (24, 24))])
def test_where_no_size_can_tell_it_is_said_how_a_label_is_taken(tmp_path, orientation, size):
    root = miniature.plain(tmp_path)
    photograph(root / "images" / "2.jpg", orientation, size)
    miniature.save(root / "labels" / "2.png", miniature.label(0, 1, size=size))
    with pytest.warns(
        InputWarning, match=rf"2\.jpg is shown turned, .*\({orientation}\).*as drawn on what is"
    ):
        verify(open_dataset(root))


def test_an_image_beyond_every_limit_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # below the images: Pillow itself would raise
    root = miniature.plain(tmp_path)
    assert verify(open_dataset(root)).images == 2
    monkeypatch.setattr(module, "MAX_PIXELS", 100)
    with pytest.raises(DatasetError, match=r"2\.jpg is too large \(32x24 pixels"):
        verify(open_dataset(root))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda r: miniature.image(r / "images" / "2.jpg", size=(20, 32)), "different versions"),
        (lambda r: (r / "images" / "2.jpg").write_bytes(b"no image"), r"2\.jpg cannot be read"),
        (lambda r: miniature.save(r / "labels" / "2.png", miniature.label(0, 1, 9)), r"2\.png.*code 9"),
    ],
)
def test_faults_name_the_file(tmp_path, harm, message):
    root = miniature.plain(tmp_path)
    harm(root)
    with pytest.raises(DatasetError, match=message):
        verify(open_dataset(root))
