import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import failure_fakes
from failure_fakes import HEIGHT, WIDTH, save_image
from oodseg.cli.main import app
from run_helpers import assert_sentence


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    failure_fakes.register(monkeypatch)


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
    promise = "with a probability of 80%, provided that it is exchangeable with the 10 images"
    assert_sentence(found, 0, f"wrote {judge}: the true mean IoU of an image lies in its interval", promise)
    save_image(tmp_path / "a.png", 16)
    found = run("failures", tmp_path / "a.png", "--detector", judge, "--out", tmp_path / "out")
    assert_sentence(found, 0, "0.75 (", "a.png", "in brackets: the true mean IoU", promise)


def test_too_few_images_are_said(tmp_path):
    data = save_labelled(tmp_path / "drives", 4)
    found = run("calibrate", data, "--detector", "red_is_wrong", "--out", tmp_path / "judge")
    assert_sentence(found, 2, "4 labelled images are too few for intervals at 90%: give at least 15")
    assert not (tmp_path / "judge").exists()
