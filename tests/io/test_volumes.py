import gzip

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_fakes import affine_of, body, save_nifti, save_scan
from oodseg.core.errors import DatasetError, ImageError, OodsegError
from oodseg.core.input_warnings import collect_warnings
from oodseg.io.volume_formats import is_volume, volume_name
from oodseg.io.volumes import (
    put_slice,
    read_labels,
    read_volume,
    take_slice,
    to_grey,
    usual_window,
    write_volume,
)

ORIENTATIONS = ("RAS", "LPS", "LAS", "PIR", "SAL")


@pytest.mark.parametrize("axes", ORIENTATIONS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_orientation_reads_as_the_same_volume_and_goes_back(tmp_path, axes, suffix):
    truth = body()
    scan = read_volume(save_scan(tmp_path / f"scan{suffix}", truth, axes))
    assert np.array_equal(scan.values, truth * 100.0)
    assert scan.spacing == pytest.approx((0.8, 0.9, 3.0))
    assert scan.slice_axis == 2
    write_volume(tmp_path / f"back{suffix}", scan.values, scan)
    back, stored = nibabel.load(tmp_path / f"back{suffix}"), nibabel.load(scan.path)
    assert nibabel.aff2axcodes(back.affine) == tuple(axes)
    assert np.allclose(back.affine, stored.affine)
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(stored.dataobj))


def test_equal_volumes_are_equal_files(tmp_path):
    scan = read_volume(save_scan(tmp_path / "scan.nii.gz", body()))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, scan.values, scan)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz", "scan.nii.gz"]


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [((1, 1, 1), 2), ((0.9, 0.9, 0.7), 2), ((0.8, 3, 0.8), 1), ((4, 1, 1), 0), ((3, 1, 3), 2)],
)
def test_slices_lie_across_the_thickest_voxels(tmp_path, spacing, axis):
    shape = (20, 20, 20)
    path = save_nifti(tmp_path / "scan.nii", np.indices(shape)[0].astype(np.float32), spacing=spacing)
    assert read_volume(path).slice_axis == axis


@given(st.integers(0, 2), st.data())
@settings(max_examples=20, deadline=None)
def test_put_slice_undoes_take_slice(axis, data):
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    index = data.draw(st.integers(0, values.shape[axis] - 1))
    copy = values.copy()
    put_slice(copy, axis, index, np.zeros_like(take_slice(values, axis, index)))
    assert not np.take(copy, index, axis).any()
    put_slice(copy, axis, index, take_slice(values, axis, index))
    assert np.array_equal(copy, values)


def test_a_slice_is_shown_as_radiologists_look_at_it():
    values = np.zeros((20, 16, 3))
    values[-1, :, 1] = 1  # the patient's right
    values[:, -1, 1] += 2  # the front
    shown = take_slice(values, 2, 1)
    assert shown.shape == (16, 20)
    assert (shown[1:, 0] == 1).all()
    assert (shown[0, 1:] == 2).all()


def test_window():
    grey = to_grey(np.array([[-500, -100, 70, 240, 900]], np.float32), (-100, 240))
    assert grey.shape == (1, 5, 3)
    assert grey[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_usual_window_leaves_single_voxels_out(tmp_path):
    values = np.linspace(0, 100, 20**3, dtype=np.float32).reshape(20, 20, 20)
    values[0, 0, 0] = 3000
    low, high = usual_window(read_volume(save_nifti(tmp_path / "scan.nii", values)))
    assert low == pytest.approx(0.5, abs=0.1)
    assert high == pytest.approx(99.5, abs=0.2)


def test_a_single_frame_of_four_dimensions_and_scaled_values_are_read(tmp_path):
    turn, affine = affine_of()
    image = nibabel.Nifti1Image(turn(body().astype(np.int16))[..., None], affine)
    image.header.set_slope_inter(2.0, -7.0)
    image.to_filename(tmp_path / "scan.nii.gz")
    stored = np.asarray(nibabel.load(tmp_path / "scan.nii.gz").dataobj)[..., 0]
    assert np.array_equal(read_volume(tmp_path / "scan.nii.gz").values, stored)


def save_several(path):
    """Three volumes in one file: the body, brighter from one to the next."""
    turn, affine = affine_of("LPS")
    values = np.stack([turn(body().astype(np.int16) + 10 * k) for k in range(3)], 3)
    nibabel.Nifti1Image(values, affine).to_filename(path)
    return path


def test_one_of_several_volumes_is_chosen(tmp_path):
    path = save_several(tmp_path / "scan.nii.gz")
    for number in range(3):
        assert np.array_equal(read_volume(path, number).values, body() + 10 * number)
    write_volume(tmp_path / "back.nii.gz", body(), read_volume(path, 1))
    assert nibabel.load(tmp_path / "back.nii.gz").shape == (30, 24, 6)
    single = save_scan(tmp_path / "single.nii.gz", body())
    assert np.array_equal(read_volume(single, 0).values, body() * 100)


@pytest.mark.parametrize(("make", "number", "words"), [
    (save_several, None, "holds 3 volumes, 0 to 2: choose one with --volume"),
    (save_several, 3, "holds 3 volumes, 0 to 2, no number 3: choose one with --volume"),
    (lambda path: save_scan(path, body()), 1, "holds one volume, no number 1: choose one with --volume"),
])  # fmt: skip
def test_a_volume_that_is_not_there_and_none_chosen(tmp_path, make, number, words):
    with pytest.raises(ImageError, match=words):
        read_volume(make(tmp_path / "scan.nii.gz"), number)


def test_labels_are_of_one_volume(tmp_path):
    with pytest.raises(ImageError, match="save one alone"):
        read_labels(save_several(tmp_path / "labels.nii.gz"))


def test_voxels_that_are_no_number_become_nought(tmp_path):
    values = np.ones((20, 20, 20), np.float32)
    values[3, 3, 3] = np.nan
    with collect_warnings(forward=False) as warned:
        assert read_volume(save_nifti(tmp_path / "scan.nii", values)).values[3, 3, 3] == 0
    assert "scan.nii: 1 of 8000 voxels were NaN or infinite and count as 0" in warned[0]


def damaged(folder):
    path = save_scan(folder / "scan.nii.gz", body())
    path.write_bytes(path.read_bytes()[:-200])
    return path


def renamed(folder, name, other):
    return save_nifti(folder / name, body()).rename(folder / other)


def save_image(path):
    path.write_bytes(b"\x89PNG")
    return path


def empty_gzip(folder):
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(b"no volume"))
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "none.nii.gz", "does not exist"),
        (damaged, "not a complete NIfTI file"),
        (lambda folder: folder, "is a folder: name one NIfTI file"),
        (lambda folder: save_nifti(folder / "s.nii", np.full((20, 20, 5), 3.0)), "s.nii is 3 everywhere"),
        (lambda folder: save_nifti(folder / "s.nii", np.full((20, 20, 5), np.nan)), "s.nii is 0 everywhere"),
        (lambda folder: renamed(folder, "a.nii", "b.nii.gz"), "not compressed.*rename it to b.nii$"),
        (lambda folder: renamed(folder, "a.nii.gz", "b.nii"), "b.nii is compressed.*rename it to b.nii.gz$"),
        (empty_gzip, "not a complete NIfTI file"),
        (
            lambda folder: save_image(folder / "a.png"),
            r"not a complete NIfTI file .*: give a .nii or .nii.gz$",
        ),
        (lambda folder: save_nifti(folder / "s.nii", np.zeros((5, 20, 3), np.float32)), "slices of 5x20"),
        (
            lambda folder: (
                nibabel.Nifti1Image(np.zeros((20, 20, 5, 1, 2), np.float32), np.eye(4)).to_filename(
                    folder / "t.nii"
                )
                or folder / "t.nii"
            ),
            "20x20x5x1x2",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(ImageError, match=words) as caught:
        read_volume(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels(tmp_path):
    truth = body()
    scan = read_volume(save_scan(tmp_path / "scan.nii.gz", truth, "LPS"))
    labels = read_labels(save_nifti(tmp_path / "labels.nii.gz", truth.astype(np.float64), "RAS"), scan)
    assert labels.values.dtype == np.uint8
    assert np.array_equal(labels.values, truth)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_labels_stored_through_a_slope(tmp_path, dtype):
    image = nibabel.Nifti1Image(body().astype(np.float64) * 3, np.diag([0.8, 0.9, 3.0, 1.0]))
    image.set_data_dtype(dtype)  # saved as whole numbers times a slope that is none
    nibabel.save(image, tmp_path / "labels.nii")
    stored = np.asarray(nibabel.load(tmp_path / "labels.nii").dataobj)
    assert not np.array_equal(stored, np.rint(stored))
    assert np.array_equal(read_labels(tmp_path / "labels.nii").values, body() * 3)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (body() * 0.5, {}, "not labels"),
        (body().astype(np.int16) - 3, {}, "not labels"),
        (body().astype(np.int16) * 200, {}, "not labels"),
        (body((30, 24, 7)), {}, "30x24x7 voxels and the scan"),
        (body(), {"spacing": (0.8, 0.9, 2.5)}, "lie elsewhere"),
    ],
)
def test_labels_that_do_not_belong_to_the_scan(tmp_path, values, options, words):
    scan = read_volume(save_scan(tmp_path / "scan.nii.gz", body()))
    path = save_nifti(tmp_path / "labels.nii.gz", values, **options)
    with pytest.raises(DatasetError, match=words):
        read_labels(path, scan)


def test_an_affine_off_by_rounding_is_the_same_place(tmp_path):
    scan = read_volume(save_scan(tmp_path / "scan.nii.gz", body()))
    path = save_nifti(tmp_path / "labels.nii.gz", body(), spacing=(0.8001, 0.9, 3.0))
    assert read_labels(path, scan).values.any()


def test_writing_where_nothing_can_be_written(tmp_path):
    scan = read_volume(save_scan(tmp_path / "scan.nii.gz", body()))
    (tmp_path / "file").write_text("")
    with pytest.raises(OodsegError, match="cannot write"):
        write_volume(tmp_path / "file" / "error.nii.gz", scan.values, scan)


@pytest.mark.parametrize(
    ("name", "volume", "stem"),
    [
        ("a.b.nii.gz", True, "a.b"),
        ("A.NII", True, "A"),
        ("a.png", False, "a"),
        ("nii.gz.png", False, "nii.gz"),
    ],
)
def test_names(tmp_path, name, volume, stem):
    assert is_volume(name) is volume
    assert volume_name(tmp_path / name) == stem


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    path = save_scan(tmp_path / "scan.nii", body())

    def refused(self, *_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "open", refused)
    with pytest.raises(ImageError, match=r"scan.nii cannot be opened \(Permission denied\): check its"):
        read_volume(path)


@pytest.mark.parametrize(("unit", "written"), [("micron", "micron"), ("mm", "mm"), (None, "mm")])
def test_the_unit_of_lengths_is_kept(tmp_path, unit, written):
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((20, 20, 5)), np.eye(4))
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    scan = read_volume(tmp_path / "a.nii")
    write_volume(tmp_path / "b.nii", scan.values, scan)
    assert nibabel.load(tmp_path / "b.nii").header.get_xyzt_units()[0] == written
