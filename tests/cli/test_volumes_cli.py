import json

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

import failure_fakes
from failure_fakes import body, save_nifti, save_scan, save_volume_detector
from oodseg.cli.main import app
from run_helpers import assert_sentence


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Runs the verb on a scan and labels with other codes than the detector's."""
    failure_fakes.register(monkeypatch)
    scan = save_scan(tmp_path / "case.nii.gz", body())
    labels = save_nifti(tmp_path / "labels.nii.gz", np.array([0, 5, 7], np.uint8)[body()])
    detector = save_volume_detector(tmp_path / "detector")

    def run(*options):
        arguments = ["volumes", scan, "--prediction", labels, "--detector", detector, *options]
        arguments += ["--out", tmp_path / "out"]
        return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "250"})

    return run


CODES = ("--structure", "pancreas=7", "--structure", "liver=5")


def test_all_options_reach_the_run(judge, tmp_path):
    result = judge(*CODES, "--window", "0", "200", "--error-format", "npy")
    assert_sentence(result, 0, "slices", "estimated Dice, pancreas", "1.00", tmp_path / "out" / "index.html")
    assert not nibabel.load(tmp_path / "out" / "error.nii.gz").get_fdata().any()
    info = json.loads((tmp_path / "out" / "failures.json").read_text())["info"]
    assert info["settings"]["structures"] == {"7": "pancreas", "5": "liver"}
    assert (info["settings"]["window"], info["files"]["error"]) == ([0, 200], ".npy")


@pytest.mark.parametrize(("options", "words"), [
    ((), "say which code is which structure"),
    (("--structure", "pancreas"), "write NAME=CODE"),
    (("--structure", "=3"), "write NAME=CODE"),
    (("--structure", "pancreas=256"), "write NAME=CODE"),
    ((*CODES, "--window", "3", "3"), "must be the larger one"),
    (("--segmenter", "street"), "No such option"),
])  # fmt: skip
def test_faults_are_one_sentence(judge, tmp_path, options, words):
    result = judge(*options)
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_labels_are_asked_for_where_no_segmenter_comes_along(tmp_path, monkeypatch):
    failure_fakes.register(monkeypatch)
    scan = save_scan(tmp_path / "case.nii.gz", body())
    for detector in (save_volume_detector(tmp_path / "detector"), "consistency"):
        arguments = ["volumes", scan, "--detector", detector, "--out", tmp_path / "out"]
        result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "250"})
        assert_sentence(result, 2, "name the labels to judge with --prediction")


def test_the_bundled_detector_gives_a_first_scan_a_result(tmp_path):
    x, y, z = np.indices((36, 48, 30)) - np.array([18, 24, 15])[:, None, None, None]
    inside = (x / 7.0) ** 2 + (y / 16.0) ** 2 + (z / 6.0) ** 2 < 1
    truth = np.where(inside, np.where(y > 0, 1, 2), 0).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 20, truth.shape)
    scan = save_nifti(
        tmp_path / "case.nii.gz", (300 + 150.0 * inside + noise).astype(np.float32), "LPI", (1, 1, 1)
    )
    labels = save_nifti(tmp_path / "labels.nii.gz", truth, "RAS", (1, 1, 1))

    def run(out, *options, words):
        arguments = ["volumes", scan, "--detector", "hippocampus", "--out", tmp_path / out, *options]
        result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "250"})
        assert_sentence(result, 0, "estimated Dice, anterior", *words, tmp_path / out / "index.html")
        assert ("in brackets" in result.output) == ("exchangeable" in words)
        return nibabel.load(tmp_path / out / "error.nii.gz").get_fdata()

    judged = run("given", "--prediction", labels, words=["no intervals of Dice are given"])
    assert judged.shape == truth.shape
    assert 0 <= judged.min() < judged.max() <= 1
    assert not (tmp_path / "given" / "labels.nii.gz").exists()
    run("made", words=["exchangeable"])
    made = nibabel.load(tmp_path / "made" / "labels.nii.gz")
    assert made.shape == truth.shape
    assert set(np.unique(made.get_fdata())) <= {0, 1, 2}
