import cv2
import nibabel
import numpy as np
import pytest

from failure_fakes import WINDOW, body, save_nifti, save_task
from oodseg.core.errors import ConfigError, DatasetError, ImageError
from oodseg.data.msd import export_slices
from oodseg.data.msd_layout import read_layout, split_cases
from oodseg.data.slices import window_of
from oodseg.training.labelled import slices


def test_layout(tmp_path):
    classes, cases = read_layout(save_task(tmp_path / "Task07"), tmp_path / "predicted")
    assert classes == ("background", "liver", "pancreas")
    assert [case.name for case in cases] == [f"pancreas_{k:03d}" for k in range(5)]
    assert cases[2].prediction == tmp_path / "predicted" / "pancreas_002.nii.gz"


def test_newer_files_name_labels_the_other_way_round(tmp_path):
    root = save_task(tmp_path / "Task07", 1, {"background": 0, "tumour": 2, "organ": 1})
    assert read_layout(root)[0] == ("background", "organ", "tumour")


def test_every_case_has_one_split_and_keeps_it(tmp_path):
    _, cases = read_layout(save_task(tmp_path / "Task07", 20))
    parts = split_cases(cases)
    assert {split: len(part) for split, part in parts.items()} == {"val": 2, "test": 2, "train": 16}
    assert sorted(case.name for part in parts.values() for case in part) == [case.name for case in cases]
    assert split_cases(cases[::-1]) == parts


def test_folds_test_every_case_once(tmp_path):
    _, cases = read_layout(save_task(tmp_path / "Task07", 10))
    tested = []
    for number in range(3):
        parts = split_cases(cases, (number, 3))
        assert sorted(case.name for part in parts.values() for case in part) == [case.name for case in cases]
        assert parts["val"]
        tested += [case.name for case in parts["test"]]
    assert sorted(tested) == [case.name for case in cases]
    with pytest.raises(ConfigError, match="there is no fold 3 of 3"):
        split_cases(cases, (3, 3))


def test_two_plain_folders_with_structures_named_by_the_caller(tmp_path):
    root = save_task(tmp_path / "Task07", 4)
    (root / "dataset.json").unlink()
    (root / "imagesTr").rename(root / "images")
    (root / "labelsTr").rename(root / "labels")
    structures = {1: "liver", 2: "pancreas"}
    export_slices(root, tmp_path / "slices", None, structures=structures, fold=(0, 2))
    found = slices(tmp_path / "slices")
    assert found.classes == ("background", "liver", "pancreas")
    assert len(found.test) == 10, "half of the scans, each with four slices and an empty one"
    image, labels = found.train[0].read()
    assert np.array_equal(np.rint(image[:, :, 0] / 127.5), labels), "each scan has the window of its own"
    assert window_of(tmp_path / "slices") is None
    with pytest.raises(ConfigError, match="numbered 1, 2 and so on"):
        read_layout(root, structures={1: "liver", 3: "pancreas"})


def test_slices_are_what_trainings_read(tmp_path):
    root, out, said = save_task(tmp_path / "Task07"), tmp_path / "slices", []
    counts = export_slices(root, out, WINDOW, tmp_path / "predicted", lambda *done: said.append(done))
    assert said == [*(("cutting", k, 5) for k in range(6))]
    found = slices(out)
    assert found.classes == ("background", "liver", "pancreas")
    # Of six slices four hold a structure and the first is the one empty slice in ten.
    assert {key: len(getattr(found, key)) for key in counts} == counts == {"train": 15, "val": 5, "test": 5}
    for each in [*found.train, *found.val]:
        image, labels = each.read()
        assert np.array_equal(np.rint(image[:, :, 0] / 127.5), labels)
        assert np.array_equal(each.read_prediction(), np.where(labels == 2, 2, 0))


def test_one_of_several_volumes_is_cut(tmp_path):
    root, out = save_task(tmp_path / "Task07", 3), tmp_path / "slices"
    for path in (root / "imagesTr").glob("pancreas*"):
        scan = nibabel.load(path)
        values = np.asarray(scan.dataobj)
        nibabel.Nifti1Image(np.stack([0 * values, values], 3), scan.affine).to_filename(path)
    with pytest.raises(ImageError, match="choose one with --volume"):
        export_slices(root, out, WINDOW)
    export_slices(root, tmp_path / "second", WINDOW, volume=1)
    image, labels = slices(tmp_path / "second").train[0].read()
    assert np.array_equal(np.rint(image[:, :, 0] / 127.5), labels)
    with pytest.raises(DatasetError, match="cut otherwise"):
        export_slices(root, tmp_path / "second", WINDOW, volume=0)


def test_slices_without_predictions(tmp_path):
    export_slices(save_task(tmp_path / "Task07", 3), tmp_path / "slices", WINDOW)
    assert slices(tmp_path / "slices").train[0].read_prediction() is None


def test_going_on_where_it_broke_off(tmp_path):
    root, out = save_task(tmp_path / "Task07"), tmp_path / "slices"
    last = split_cases(read_layout(root)[1])["train"][-1].labels
    whole = last.read_bytes()
    save_nifti(last, body((30, 24, 7)))
    with pytest.raises(DatasetError, match=r"nii\.gz have 30x24x7 voxels"):
        export_slices(root, out, WINDOW)
    with pytest.raises(DatasetError, match=r"holds no slices\.json"):
        slices(out)
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    last.write_bytes(whole)
    counts = export_slices(root, out, WINDOW)
    assert sum(counts.values()) == 25
    assert done
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    with pytest.raises(DatasetError, match="cut otherwise"):
        export_slices(root, out, (0.0, 100.0))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda root: (root / "dataset.json").unlink(), DatasetError, "names no structures"),
        (lambda root: (root / "dataset.json").write_text("[]"), DatasetError, "names no structures"),
        (
            lambda root: (root / "dataset.json").write_text('{"labels": {"0": "a", "2": "b"}}'),
            DatasetError,
            "must number its labels",
        ),
        (
            lambda root: (root / "dataset.json").write_text('{"labels": {"0": "a", "1": "b"}}'),
            DatasetError,
            "label 2, but dataset.json names only",
        ),
        (lambda root: (root / "labelsTr" / "pancreas_000.nii.gz").unlink(), DatasetError, "has no"),
        (
            lambda root: [path.unlink() for path in (root / "imagesTr").glob("p*_00[1-4]*")],
            DatasetError,
            "1 scans are too few",
        ),
        (lambda root: [path.unlink() for path in (root / "imagesTr").glob("*")], DatasetError, "no .nii.gz"),
        (
            lambda root: [path.write_bytes(b"x") for path in (root / "labelsTr").glob("*")],
            ImageError,
            "not a complete NIfTI",
        ),
    ],
)
def test_a_task_that_is_not_whole(tmp_path, spoil, error, words):
    root = save_task(tmp_path / "Task07")
    spoil(root)
    with pytest.raises(error, match=words):
        export_slices(root, tmp_path / "slices", WINDOW)


def test_a_slice_that_was_spoilt(tmp_path):
    out = tmp_path / "slices"
    export_slices(save_task(tmp_path / "Task07", 3), out, WINDOW)
    one = slices(out).train[0]
    cv2.imwrite(str(one.label), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DatasetError, match="cannot be read: run"):
        one.read()
    one.image.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"images.*cannot be read: run"):
        one.read()


def test_a_window_must_open(tmp_path):
    with pytest.raises(ConfigError, match="--window 3 3: the second value must be the larger one"):
        export_slices(save_task(tmp_path / "Task07", 3), tmp_path / "slices", (3, 3))
