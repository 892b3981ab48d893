import csv
import json

import nibabel
import numpy as np
import pytest
import torch

import failure_fakes
from failure_fakes import STRUCTURES, assert_sentence, body, run, save_nifti, save_scan, save_volume_detector
from oodseg.failures.bundle import save_failure_detector
from oodseg.failures.comparator import Comparator
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.synthcp import SynthCP
from oodseg.metrics import picture_dice
from oodseg.segmenters.given import GivenLabels


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    failure_fakes.register(monkeypatch)


@pytest.fixture
def detector(tmp_path):
    return save_volume_detector(tmp_path / "detector")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def wrong_labels():
    """Half of the pancreas is missed, the liver reaches too far in one slice."""
    labels = body()
    labels[11:15, :, 3][labels[11:15, :, 3] == 2] = 0
    labels[16:18, 6:18, 2] = 1
    return labels


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAL"])
def test_error_volume_dice_and_ranked_slices(tmp_path, detector, out, axes):
    scan = save_scan(tmp_path / "case.nii.gz", body(), axes)
    labels = save_nifti(tmp_path / "labels.nii.gz", wrong_labels(), "RAS")
    result = run(out, scan, "--prediction", labels, detector=detector)
    assert result.exit_code == 0, result.output
    error = nibabel.load(out / "error.nii.gz")
    assert np.allclose(error.affine, nibabel.load(scan).affine)
    assert error.get_data_dtype() == np.float32
    expected = wrong_labels() != body()
    assert np.array_equal(nibabel.as_closest_canonical(error).get_fdata() > 0.5, expected)
    found = json.loads((out / "failures.json").read_text())
    truth = picture_dice(wrong_labels(), body(), 3)
    assert found["info"]["dice"]["liver"] == pytest.approx(truth[1], abs=0.02)
    assert found["info"]["dice"]["pancreas"] == pytest.approx(truth[2], abs=0.05)
    names = [each["file_name"] for each in found["pictures"]]
    assert names[0] == "case_slice003"
    assert set(names[4:]) == {"case_slice000", "case_slice005"}, "slices without a structure come last"
    assert found["pictures"][-1]["estimated_mean_dice"] is None
    assert "background" not in found["pictures"][0]["estimated_dice"]
    rows = list(csv.DictReader((out / "failures.csv").open()))
    assert rows[0]["dice_pancreas"] == f"{found['pictures'][0]['estimated_dice']['pancreas']:.4f}"
    page = (out / "index.html").read_text()
    assert "estimated Dice of the whole volume" in page
    assert "6 slices" in page
    assert "estimated Dice, pancreas" in result.output


def test_second_run_does_nothing_again(tmp_path, detector, out, monkeypatch):
    arguments = [
        save_scan(tmp_path / "case.nii", body()),
        "--prediction",
        save_nifti(tmp_path / "labels.nii", wrong_labels()),
    ]
    assert run(out, *arguments, detector=detector).exit_code == 0
    first = (out / "error.nii.gz").read_bytes()
    monkeypatch.setattr(failure_fakes.GreyIsTruth, "assess", None)
    assert run(out, *arguments, detector=detector).exit_code == 0
    assert (out / "error.nii.gz").read_bytes() == first
    save_nifti(tmp_path / "labels.nii", body())
    monkeypatch.undo()
    failure_fakes.register(monkeypatch)
    assert run(out, *arguments, detector=detector).exit_code == 0
    assert not nibabel.load(out / "error.nii.gz").get_fdata().any()


def test_codes_of_other_tools_and_another_window(tmp_path, detector, out):
    scan = save_nifti(tmp_path / "case.nii.gz", body().astype(np.float32) * 10 + 1000)
    labels = save_nifti(tmp_path / "labels.nii.gz", np.array([0, 5, 7], np.uint8)[body()])
    options = ["--structure", "pancreas=7", "--structure", "liver=5", "--window", "1000", "1020"]
    assert run(out, scan, "--prediction", labels, *options, detector=detector).exit_code == 0
    assert not nibabel.load(out / "error.nii.gz").get_fdata().any()
    assert json.loads((out / "failures.json").read_text())["info"]["dice"] == {"liver": 1, "pancreas": 1}


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (body((30, 24, 7)), [], "have 30x24x7 voxels and the scan"),
        (body() * np.uint8(3), [], "say which code is which structure"),
        (body(), ["--structure", "pancreas"], "write NAME=CODE"),
        (body(), ["--structure", "spleen=1"], "no structure 'spleen'"),
        (body(), ["--window", "3", "3"], "must be the larger one"),
        (body(), ["--segmenter", "street"], "--segmenter is for pictures"),
    ],
)
def test_what_does_not_belong_together_is_said_in_a_sentence(tmp_path, detector, out, labels, options, words):
    scan = save_scan(tmp_path / "case.nii.gz", body())
    path = save_nifti(tmp_path / "labels.nii.gz", labels)
    assert_sentence(run(out, scan, "--prediction", path, *options, detector=detector), 2, words)
    assert not out.exists()


def test_a_volume_without_a_prediction_or_with_a_street_detector(tmp_path, out, monkeypatch):
    scan = save_scan(tmp_path / "case.nii.gz", body())
    assert_sentence(run(out, scan), 2, "add --prediction")
    monkeypatch.setattr("oodseg.core.spec.build_segmenter", lambda spec: spec)
    labels = save_nifti(tmp_path / "labels.nii.gz", body())
    assert_sentence(run(out, scan, "--prediction", labels), 2, "trained on volumes")
    assert_sentence(run(out, tmp_path / "none.nii.gz", "--prediction", labels), 2, "does not exist")


def test_the_real_comparison_runs_on_volumes(tmp_path, out):
    torch.manual_seed(0)
    real = SynthCP(
        GivenLabels(STRUCTURES, (0, 200)),
        SpadeGenerator(3, [8, 8, 8], 16),
        Comparator(3, [4, 4, 4], 4, True, 24),
    )
    save_failure_detector(real, tmp_path / "real")
    scan = save_scan(tmp_path / "case.nii.gz", body())
    labels = save_nifti(tmp_path / "labels.nii.gz", wrong_labels())
    result = run(out, scan, "--prediction", labels, detector=tmp_path / "real")
    assert result.exit_code == 0, result.output
    error = nibabel.load(out / "error.nii.gz").get_fdata()
    assert error.shape == (30, 24, 6)
    assert 0 <= error.min() < error.max() <= 1
    dice = json.loads((out / "failures.json").read_text())["info"]["dice"]
    assert all(0 <= value <= 1 for value in dice.values())
