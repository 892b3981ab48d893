import csv
import json

import nibabel
import numpy as np
import pytest
import torch

import failure_fakes
import oodseg.runs
from failure_fakes import STRUCTURES, body, save_nifti, save_scan, save_volume_detector
from failure_parts import make_segmenter, make_vae
from oodseg.core.errors import ConfigError, DatasetError, ImageError
from oodseg.core.intervals import StructureIntervals
from oodseg.failures.comparator import Comparator
from oodseg.failures.detector import full_logits
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.storage import save_failure_detector
from oodseg.failures.synthcp import SynthCP
from oodseg.failures.vae_alarm import VAEAlarm
from oodseg.io.images import to_tensor
from oodseg.io.slices import Slices
from oodseg.io.volumes import read_volume, take_slice
from oodseg.metrics import image_dice
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
    run = oodseg.runs.judge_volume(scan, labels, detector, out)
    error = nibabel.load(out / "error.nii.gz")
    assert np.allclose(error.affine, nibabel.load(scan).affine)
    assert error.get_data_dtype() == np.float32
    expected = wrong_labels() != body()
    assert np.array_equal(nibabel.as_closest_canonical(error).get_fdata() > 0.5, expected)
    found = json.loads((out / "failures.json").read_text())
    truth = image_dice(wrong_labels(), body(), 3)
    assert found["info"]["dice"]["liver"] == pytest.approx(truth[1], abs=0.02)
    assert found["info"]["dice"]["pancreas"] == pytest.approx(truth[2], abs=0.05)
    names = [each["file_name"] for each in found["images"]]
    assert names[0] == "case_slice003"
    assert set(names[4:]) == {"case_slice000", "case_slice005"}, "slices without a structure come last"
    assert found["images"][-1]["estimated_mean_dice"] is None
    assert "background" not in found["images"][0]["estimated_dice"]
    rows = list(csv.DictReader((out / "failures.csv").open()))
    assert rows[0]["dice_pancreas"] == f"{found['images'][0]['estimated_dice']['pancreas']:.4f}"
    page = (out / "index.html").read_text()
    assert "estimated Dice of the whole volume" in page
    assert "Scan <b>case.nii.gz</b>, labels <b>labels.nii.gz</b>" in page
    assert 'href="error.nii.gz"' in page
    assert 'href="labels.nii.gz"' not in page
    assert "6 slices" in page
    assert run.images == 6
    assert run.dice == found["info"]["dice"]


def test_without_a_detector_labels_are_compared_with_the_look_of_the_scan(tmp_path, out):
    scan = save_scan(tmp_path / "case.nii.gz", body())
    labels = save_nifti(tmp_path / "labels.nii.gz", wrong_labels(), "RAS")
    run = oodseg.runs.judge_volume(scan, labels, out=out, device="cpu")
    assert list(run.dice) == ["label 1", "label 2"]
    right = oodseg.runs.judge_volume(
        scan, save_nifti(tmp_path / "right.nii.gz", body(), "RAS"), out=tmp_path / "right", device="cpu"
    )
    assert all(run.dice[name] < right.dice[name] for name in run.dice)
    named = oodseg.runs.judge_volume(
        scan, labels, out=tmp_path / "named", structures={1: "liver"}, device="cpu"
    )
    assert list(named.dice) == ["liver"]


def test_second_run_does_nothing_again(tmp_path, detector, out, monkeypatch):
    scan = save_scan(tmp_path / "case.nii", body())
    labels = save_nifti(tmp_path / "labels.nii", wrong_labels())
    oodseg.runs.judge_volume(scan, labels, detector, out)
    first = (out / "error.nii.gz").read_bytes()
    monkeypatch.setattr(failure_fakes.GreyIsTruth, "assess", None)
    assert oodseg.runs.judge_volume(scan, labels, detector, out).done_before == 6
    assert (out / "error.nii.gz").read_bytes() == first
    save_nifti(tmp_path / "labels.nii", body())
    monkeypatch.undo()
    failure_fakes.register(monkeypatch)
    assert oodseg.runs.judge_volume(scan, labels, detector, out).done_before == 0
    assert not nibabel.load(out / "error.nii.gz").get_fdata().any()


def test_codes_of_other_tools_and_another_window(tmp_path, detector, out):
    scan = save_nifti(tmp_path / "case.nii.gz", body().astype(np.float32) * 10 + 1000)
    labels = save_nifti(tmp_path / "labels.nii.gz", np.array([0, 5, 7], np.uint8)[body()])
    structures = {7: "pancreas", 5: "liver"}
    oodseg.runs.judge_volume(scan, labels, detector, out, structures=structures, window=(1000, 1020))
    assert not nibabel.load(out / "error.nii.gz").get_fdata().any()
    assert json.loads((out / "failures.json").read_text())["info"]["dice"] == {"liver": 1, "pancreas": 1}


def test_one_of_several_volumes(tmp_path, detector, out):
    turn, affine = failure_fakes.affine_of("LPS")
    values = np.stack([turn(np.zeros_like(body())), turn(body() * np.uint8(100))], 3)
    nibabel.Nifti1Image(values, affine).to_filename(tmp_path / "case.nii.gz")
    labels = save_nifti(tmp_path / "labels.nii.gz", body())
    with pytest.raises(ImageError, match="choose one with --volume"):
        oodseg.runs.judge_volume(tmp_path / "case.nii.gz", labels, detector, out)
    run = oodseg.runs.judge_volume(tmp_path / "case.nii.gz", labels, detector, out, volume=1)
    assert run.dice == {"liver": 1, "pancreas": 1}
    assert run.listed.info["settings"]["volume"] == 1
    assert nibabel.load(out / "error.nii.gz").shape == (30, 24, 6)


@pytest.mark.parametrize(
    ("labels", "options", "error", "words"),
    [
        (body((30, 24, 7)), {}, DatasetError, "have 30x24x7 voxels and the scan"),
        (body() * np.uint8(3), {}, DatasetError, "say which code is which structure"),
        (body(), {"structures": {1: "spleen"}}, ConfigError, "no structure 'spleen'"),
        (body(), {"window": (3, 3)}, ConfigError, "must be the larger one"),
    ],
)
def test_what_does_not_belong_together_is_said(tmp_path, detector, out, labels, options, error, words):
    scan = save_scan(tmp_path / "case.nii.gz", body())
    path = save_nifti(tmp_path / "labels.nii.gz", labels)
    with pytest.raises(error, match=words):
        oodseg.runs.judge_volume(scan, path, detector, out, **options)
    assert not out.exists()


def test_a_detector_with_a_segmenter_of_its_own_judges_no_labels(tmp_path, out):
    scan = save_scan(tmp_path / "case.nii.gz", body())
    labels = save_nifti(tmp_path / "labels.nii.gz", body())
    with pytest.raises(ConfigError, match="trained on volumes"):
        oodseg.runs.judge_volume(scan, labels, "msp", out)
    with pytest.raises(ImageError, match="does not exist"):
        oodseg.runs.judge_volume(tmp_path / "none.nii.gz", labels, "msp", out)


def test_ctrl_c_counts_slices_and_claims_no_volume(tmp_path, detector, out, monkeypatch):
    original, calls = failure_fakes.GreyIsTruth.assess, []

    def stopping(self, image, labels=None):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(image)
        return original(self, image, labels)

    scan = save_scan(tmp_path / "case.nii.gz", body())
    labels = save_nifti(tmp_path / "labels.nii.gz", body())
    with monkeypatch.context() as patch:
        patch.setattr(failure_fakes.GreyIsTruth, "assess", stopping)
        with pytest.raises(KeyboardInterrupt, match="after 2 of 6 slices"):
            oodseg.runs.judge_volume(scan, labels, detector, out)
    assert not (out / "error.nii.gz").exists()
    assert "dice" not in json.loads((out / "failures.json").read_text())["info"]
    assert oodseg.runs.judge_volume(scan, labels, detector, out).done_before == 2
    assert (out / "error.nii.gz").is_file()


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
    oodseg.runs.judge_volume(scan, labels, tmp_path / "real", out)
    error = nibabel.load(out / "error.nii.gz").get_fdata()
    assert error.shape == (30, 24, 6)
    assert 0 <= error.min() < error.max() <= 1
    dice = json.loads((out / "failures.json").read_text())["info"]["dice"]
    assert all(0 <= value <= 1 for value in dice.values())


def test_a_segmenter_that_comes_along_labels_the_scan(tmp_path, out):
    torch.manual_seed(0)
    network = make_segmenter(STRUCTURES)
    judge = VAEAlarm(GivenLabels(STRUCTURES, (0, 200), network), make_vae())
    judge.structure_intervals = StructureIntervals(
        0.9, {"liver": 0.25, "pancreas": 0.1}, 20, "fabricated scans"
    )
    save_failure_detector(judge, tmp_path / "judge")
    scan = save_scan(tmp_path / "case.nii.gz", body(), "LPS")
    run = oodseg.runs.judge_volume(scan, None, tmp_path / "judge", out)
    labels = nibabel.load(out / "labels.nii.gz")
    assert np.allclose(labels.affine, nibabel.load(scan).affine)
    assert labels.get_data_dtype() == np.uint8
    made = nibabel.as_closest_canonical(labels).get_fdata()
    shown = Slices(read_volume(scan), None, (0, 200)).image(3)
    logits = full_logits(network.segment(to_tensor(shown)[None]), shown.shape[:2])
    assert np.array_equal(take_slice(made, 2, 3), logits[0].argmax(0).numpy())
    info = json.loads((out / "failures.json").read_text())["info"]
    assert info["label_volume"] == "labels.nii.gz"
    promised = info["dice_intervals"]
    assert "exchangeable with the 20 of the calibration (fabricated scans)" in promised["promise"]
    for name, value in run.dice.items():
        ends = promised["by_structure"][name]
        if value is None:
            assert ends is None
        else:
            assert ends == pytest.approx(list(judge.structure_intervals.around(name, value)))
            assert dict(run.facts())[f"estimated Dice, {name}"].endswith(f"({ends[0]:.2f} to {ends[1]:.2f})")
    page = (out / "index.html").read_text()
    assert "exchangeable" in page
    assert "labels by the segmenter that comes with the failure detector" in page
    assert 'href="labels.nii.gz"' in page
    again = oodseg.runs.judge_volume(scan, None, tmp_path / "judge", out)
    assert again.done_before == 6


def test_without_labels_and_a_segmenter_nothing_is_judged(tmp_path, detector, out):
    scan = save_scan(tmp_path / "case.nii.gz", body())
    with pytest.raises(ConfigError, match="comes without a segmenter: name the labels to judge"):
        oodseg.runs.judge_volume(scan, None, detector, out)
    assert not out.exists()
