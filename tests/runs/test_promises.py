"""What a calibrated pipeline promises is said wherever its figures are, with the condition."""

import json

import numpy as np
import pytest
from PIL import Image

import oodseg.runs
import redness
from oodseg.core.guarantee import Guarantee
from redness import make_pipeline, save_street
from video_files import images, save_video

CONDITION = "provided that images are exchangeable with the 40 of the calibration (streets)"


@pytest.fixture
def calibrated(tmp_path, monkeypatch):
    redness.register(monkeypatch)
    s2m = make_pipeline()
    s2m.guarantee = Guarantee("miss", 0.1, 0.2, 40, "streets")
    s2m.operating_point = "calibrated"
    s2m.save_pretrained(tmp_path / "calibrated")
    return tmp_path / "calibrated"


def test_bench(calibrated):
    report = oodseg.runs.time_pipeline(calibrated, runs=1, sizes=[(160, 128)])
    assert CONDITION in report["promise"]


def test_evaluation(calibrated, tmp_path):
    box = (20, 20, 60, 60)
    save_street(tmp_path / "set" / "images" / "a.png", box)
    label = np.zeros(np.asarray(Image.open(tmp_path / "set" / "images" / "a.png")).shape[:2], np.uint8)
    label[box[1] : box[3], box[0] : box[2]] = 1
    (tmp_path / "set" / "labels").mkdir()
    Image.fromarray(label).save(tmp_path / "set" / "labels" / "a.png")
    run = oodseg.runs.evaluate_sets([tmp_path / "set"], calibrated, out=tmp_path / "out", resamples=10)
    assert CONDITION in run.evaluations[0].meta["pipeline"]["promise"]
    assert CONDITION in (tmp_path / "out" / "report.html").read_text()
    assert any(CONDITION in path.read_text() for path in (tmp_path / "out").glob("*.json"))


def test_a_video_is_promised_nothing(calibrated, tmp_path):
    drive = save_video(tmp_path / "drive.mp4", images(6))
    run = oodseg.runs.predict_video(drive, calibrated, tmp_path / "out", overlays=False)
    assert any("frames of one drive are not" in note for note in run.notes)
    assert json.loads((tmp_path / "out" / "tracks.json").read_text())
