import numpy as np
import pytest

from failure_fakes import STRUCTURES, body, save_nifti, save_scan
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.io.slices import Slices, map_codes
from oodseg.io.volumes import read_labels, read_volume


@pytest.fixture
def scan(tmp_path):
    return read_volume(save_scan(tmp_path / "case.1.nii.gz", body(), "LPS"))


def test_image_and_labels_lie_on_each_other(scan):
    slices = Slices(scan, body(), (0.0, 200.0))
    assert len(slices) == 6
    for index in range(6):
        image, label = slices.image(index), slices.label(index)
        assert image.shape == (24, 30, 3)
        assert np.array_equal(np.rint(image[:, :, 0] / 127.5), label)
    assert slices.names()[:2] == ["case.1_slice000", "case.1_slice001"]


def test_slices_of_a_scan_with_a_long_name_leave_room_for_a_suffix(tmp_path):
    scan = read_volume(save_scan(tmp_path / f"{'b' * 245}.nii", body()))
    names = Slices(scan, body(), (0.0, 200.0)).names()
    assert len(set(names)) == 6
    assert all(len(f"{name}.json") <= 255 for name in names)
    assert names[0].startswith("bbb")


def codes(tmp_path, values):
    return read_labels(save_nifti(tmp_path / "labels.nii.gz", values))


def test_codes_that_are_the_classes_numbers_stay(tmp_path):
    assert np.array_equal(map_codes(codes(tmp_path, body()), STRUCTURES, {}), body())


def test_codes_of_other_tools_are_mapped_and_the_rest_is_background(tmp_path):
    values = np.array([0, 5, 7], np.uint8)[body()]
    mapped = map_codes(codes(tmp_path, values), STRUCTURES, {7: "pancreas"})
    assert np.array_equal(mapped, np.where(body() == 2, 2, 0))


def test_several_codes_may_be_one_structure(tmp_path):
    values = np.array([0, 5, 7], np.uint8)[body()]
    mapped = map_codes(codes(tmp_path, values), STRUCTURES, {7: "liver", 5: "liver"})
    assert np.array_equal(mapped, body() > 0)


@pytest.mark.parametrize(
    ("structures", "error", "words"),
    [
        ({}, DatasetError, "label 5, but the detector knows 0 background, 1 liver, 2 pancreas"),
        ({7: "spleen"}, ConfigError, "no structure 'spleen': choose among liver, pancreas"),
        ({0: "background"}, ConfigError, "no structure 'background'"),
        ({9: "pancreas"}, DatasetError, "none of the codes 9; it holds 0, 5, 7"),
    ],
)
def test_codes_that_make_no_sense(tmp_path, structures, error, words):
    labels = codes(tmp_path, np.array([0, 5, 7], np.uint8)[body()])
    with pytest.raises(error, match=words):
        map_codes(labels, STRUCTURES, structures)
