import miniature
import pytest

from oodseg.core.errors import DatasetError
from oodseg.data import open_dataset, verify


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
