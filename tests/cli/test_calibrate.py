import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import failure_fakes
import redness
from failure_fakes import HEIGHT, WIDTH, save_image
from oodseg.cli.main import app
from run_helpers import assert_sentence, coco_of


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    failure_fakes.register(monkeypatch)
    redness.register(monkeypatch)


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "300"})


def save_labelled(folder, count):
    (folder / "labels").mkdir(parents=True)
    for number in range(count):
        save_image(folder / "images" / f"{number}.png", 4 + number)
        truth = np.zeros((HEIGHT, WIDTH), np.uint8)
        truth[: HEIGHT // 2, 5 + number :] = 1
        Image.fromarray(truth).save(folder / "labels" / f"{number}.png")
    return folder


def test_intervals_of_a_failure_detector(tmp_path):
    data, judge = save_labelled(tmp_path / "drives", 15), tmp_path / "judge"
    found = run("calibrate", data, "--interval", 0.8, "--detector", "red_is_wrong", "--out", judge)
    promise = "with a probability of 80 %, provided that it is exchangeable with the 10 images"
    assert_sentence(found, 0, f"wrote {judge}: the true mean IoU of an image lies in its interval", promise)
    save_image(tmp_path / "a.png", 16)
    found = run("failures", tmp_path / "a.png", "--detector", judge, "--out", tmp_path / "out")
    assert_sentence(found, 0, "0.75 (", "a.png", "in brackets: the true mean IoU", promise)


def test_too_few_images_are_said(tmp_path):
    data = save_labelled(tmp_path / "drives", 4)
    found = run(
        "calibrate", data, "--interval", 0.9, "--detector", "red_is_wrong", "--out", tmp_path / "judge"
    )
    assert_sentence(found, 2, "4 labelled images are too few for intervals at 90 %: give at least 15")
    assert not (tmp_path / "judge").exists()


def test_boxes_of_a_pipeline(tmp_path):
    source, data, sure = redness.save_pipeline(tmp_path / "red"), tmp_path / "drives", tmp_path / "sure"
    (data / "labels").mkdir(parents=True)
    for number in range(12):
        redness.save_street(data / "images" / f"{number}.png", (20, 30, 60, 70))
        label = np.zeros((redness.HEIGHT, redness.WIDTH), np.uint8)
        label[30:70, 20:60] = 1
        Image.fromarray(label).save(data / "labels" / f"{number}.png")
    found = run("calibrate", data, "--risk", "miss=0.1", "--pipeline", source, "--out", sure)
    promise = (
        "on average at most 10 % of the anomalous pixels of an image that holds any are missed, provided that"
    )
    assert_sentence(found, 0, f"wrote {sure}: {promise}", f"next: oodseg predict IMAGES --pipeline {sure}")
    found = run("predict", data / "images", "--pipeline", sure, "--out", tmp_path / "out")
    assert_sentence(found, 0, f"promised: {promise}", "exchangeable with the 12 of the calibration (drives)")
    info = coco_of(tmp_path / "out")["info"]
    assert promise in info["promise"]
    assert info["settings"]["operating_point"] == "calibrated"
    found = run(
        "predict", data / "images", "--pipeline", sure, "--operating-point", "quiet", "--out", tmp_path / "q"
    )
    assert "promised" not in found.output
    assert coco_of(tmp_path / "q")["info"]["promise"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to calibrate: either --risk NAME=MEAN or --interval LEVEL"),
        (["--risk", "miss=0.1", "--interval", "0.9"], "say what to calibrate"),
        (["--risk", "miss"], "--risk miss: write NAME=MEAN, such as miss=0.1"),
        (["--risk", "luck=0.1"], "there is no risk 'luck'; choose one of: miss, miss_objects, false_alarms"),
        (["--risk", "miss=10"], "the target of miss lies between 0 and 1, not at 10"),
    ],
)
def test_what_is_asked_for_must_make_sense(tmp_path, arguments, message):
    assert_sentence(run("calibrate", tmp_path, *arguments, "--out", tmp_path / "out"), 2, message)
