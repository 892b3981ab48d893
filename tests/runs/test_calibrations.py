import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

import failure_fakes
import oodseg.runs
from failure_fakes import HEIGHT, WIDTH, save_image
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.failures.storage import load_failure_detector, read_failure_config, save_failure_detector
from oodseg.runs import calibrate_intervals


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    failure_fakes.register(monkeypatch)


@pytest.fixture
def data(tmp_path):
    """Images whose red part is wrong, and some more of the rest."""
    folder, rng = tmp_path / "drives", np.random.default_rng(0)
    (folder / "labels").mkdir(parents=True)
    for number in range(30):
        red = int(rng.integers(4, 50))
        save_image(folder / "images" / f"{number}.png", red)
        truth = np.zeros((HEIGHT, WIDTH), np.uint8)
        truth[: HEIGHT // 2, min(WIDTH - 4, red + int(rng.integers(0, 8))) :] = 1
        Image.fromarray(truth).save(folder / "labels" / f"{number}.png")
    return folder


def test_intervals_are_saved_with_the_detector_and_shown_everywhere(data, tmp_path):
    source = tmp_path / "source"
    save_failure_detector(failure_fakes.RedIsWrong(), source, {"anomaly_statistics": {"msp": [0.0, 1.0]}})
    (source / "README.md").write_text("# mine")
    fitted = calibrate_intervals(data, source, tmp_path / "judge", level=0.8)
    assert (fitted.level, fitted.images, fitted.quality, fitted.data) == (0.8, 20, "IoU", "drives")
    assert load_failure_detector(tmp_path / "judge").intervals == fitted
    assert read_failure_config(tmp_path / "judge")["anomaly_statistics"] == {"msp": [0.0, 1.0]}
    assert (tmp_path / "judge" / "README.md").read_text() == "# mine"

    save_image(tmp_path / "photos" / "a.png", 20)
    run = oodseg.runs.judge(tmp_path / "photos", tmp_path / "judge", tmp_path / "out")
    low, high = run.listed.entries[0].record.interval
    expected = fitted.around(1 - 20 / WIDTH, 20 / WIDTH)
    assert (low, high) == pytest.approx(expected, abs=1e-3)
    assert 0 < low < high < 1
    written = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert written["images"][0]["mean_iou_interval"] == [low, high]
    assert written["info"]["intervals"]["level"] == 0.8
    assert "exchangeable with the 20 images" in written["info"]["intervals"]["promise"]
    row = next(csv.DictReader((tmp_path / "out" / "failures.csv").open()))
    assert (float(row["mean_iou_low"]), float(row["mean_iou_high"])) == pytest.approx((low, high))
    page = (tmp_path / "out" / "index.html").read_text()
    assert re.search(rf"</b> \({low:.0%} to {high:.0%}\)".replace("%", " %"), page)
    assert "exchangeable with the 20 images of the calibration (drives)" in page


def test_without_intervals_nothing_is_promised(tmp_path):
    save_image(tmp_path / "photos" / "a.png", 20)
    run = oodseg.runs.judge(tmp_path / "photos", "red_is_wrong", tmp_path / "out")
    assert run.listed.promise is None
    written = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert written["info"]["intervals"] is None
    assert written["images"][0]["mean_iou_interval"] is None
    assert "exchangeable" not in (tmp_path / "out" / "index.html").read_text()


def test_a_baseline_around_a_segmenter_is_saved_with_it(data, tmp_path):
    fitted = calibrate_intervals(data, "red_is_wrong", tmp_path / "judge", quality="Dice")
    assert load_failure_detector(tmp_path / "judge").intervals == fitted
    assert fitted.quality == "Dice"
    save_image(tmp_path / "photos" / "a.png", 20)
    run = oodseg.runs.judge(tmp_path / "photos", tmp_path / "judge", tmp_path / "out")
    assert run.listed.interval_word == "mean Dice ", "the estimate beside it is a mean IoU"
    written = json.loads((tmp_path / "out" / "failures.json").read_text())["images"][0]
    low, high = written["mean_dice_interval"]
    row = next(csv.DictReader((tmp_path / "out" / "failures.csv").open()))
    assert (float(row["mean_dice_low"]), float(row["mean_dice_high"])) == pytest.approx((low, high))
    assert "mean_iou_interval" not in written
    assert "mean_iou_low" not in row
    assert f"(mean Dice {low:.0%} to".replace("%", " %") in (tmp_path / "out" / "index.html").read_text()


def test_nothing_is_judged_before_all_can_be_written(data, tmp_path):
    with pytest.raises(ConfigError, match="is not empty"):
        calibrate_intervals(data, "red_is_wrong", data)
    with pytest.raises(ConfigError, match="choose IoU or Dice"):
        calibrate_intervals(data, "red_is_wrong", quality="accuracy")
    with pytest.raises(DatasetError, match="must hold images/"):
        calibrate_intervals(tmp_path / "nowhere", "red_is_wrong")
