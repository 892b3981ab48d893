import cv2
import numpy as np
import pytest

from oodseg.core.errors import DatasetError
from oodseg.data.sequences import open_sequence


def save(folder, name, values):
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{name}.png"), np.asarray(values))


def sequence(tmp_path, *labels, names=None, dtype=np.uint8):
    """A sequence whose labels are rows of codes, four pixels high."""
    for number, row in enumerate(labels):
        name = names[number] if names else str(number)
        save(tmp_path / "images", name, np.zeros((4, len(row), 3), np.uint8))
        save(tmp_path / "labels", name, np.tile(np.array(row, dtype), (4, 1)))
    return open_sequence(tmp_path)


def rows(found):
    return [label[0].tolist() for _, label in found.identities()]


def test_codes_are_identities(tmp_path):
    labels = [[0, 0, 1, 2], [0, 1, 1, 2], [2, 0, 0, 255]]
    assert rows(sequence(tmp_path, *labels)) == labels


def test_codes_of_16_bits(tmp_path):
    labels = [[0, 300, 255, 7], [300, 300, 0, 7]]
    assert rows(sequence(tmp_path, *labels, dtype=np.uint16)) == labels


@pytest.mark.parametrize("code", [1, 2])
def test_regions_of_one_code_are_told_apart_by_overlap(tmp_path, code):
    shown = ["aa...b..", "aaa..bb.", ".aa..bb.", "......bb", "cc....bb"]
    labels = [[0 if each == "." else code for each in row] for row in shown]
    expected = [["abc".find(each) + 1 for each in row] for row in shown]
    assert rows(sequence(tmp_path, *labels)) == expected


def test_a_region_that_falls_apart_stays_one_object(tmp_path):
    labels = [[1, 1, 1, 1], [1, 0, 0, 1], [255, 1, 1, 1]]
    assert rows(sequence(tmp_path, *labels)) == labels


def test_frames_are_in_natural_order_and_some_have_no_label(tmp_path):
    sequence(tmp_path, [0, 1], [0, 2], names=["10", "9"])
    save(tmp_path / "images", "11", np.zeros((4, 2, 3), np.uint8))
    found = open_sequence(tmp_path)
    assert [path.stem for path in found.images] == ["9", "10", "11"]
    assert [name for name, _ in found.identities()] == ["9", "10"]
    assert rows(found) == [[0, 2], [0, 1]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ([], "holds no frames: put them into"),
        (["images/1"], "holds no labels: put one PNG per frame into"),
        (["images/1", "labels/1", "labels/2"], r"2.png has no frame of that name"),
    ],
)
def test_faults_name_the_folder(tmp_path, make, words):
    for path in make:
        save((tmp_path / path).parent, (tmp_path / path).name, np.zeros((4, 4), np.uint8))
    with pytest.raises(DatasetError, match=words):
        open_sequence(tmp_path)
