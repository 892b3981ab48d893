import json

import numpy as np
import pytest

from oodseg.core.errors import ImageError
from oodseg.runs import time_pipeline
from oodseg.runs.timing import STAGES, draw, peak_mib, time_size
from redness import HEIGHT, WIDTH, make_pipeline, street


def test_every_stage_of_every_size_is_timed(red):
    report = time_pipeline(red, runs=2, sizes=((160, 128), (256, 128)))
    assert json.loads(json.dumps(report)) == report
    assert [(each["width"], each["height"]) for each in report["results"]] == [(160, 128), (256, 128)]
    for each in report["results"]:
        assert tuple(each["milliseconds"]) == STAGES
        assert all(value >= 0 for value in each["milliseconds"].values())
        assert each["runs"] == 2
    assert (report["pipeline"], report["device"], report["threads"]) == (str(red), "cpu", 1)


def test_given_image_is_what_is_timed():
    found = time_size(make_pipeline(), street((20, 20, 60, 60)), 2 * WIDTH, 2 * HEIGHT, 1)
    assert found["objects"] == 1
    assert time_size(make_pipeline(), street(), 2 * WIDTH, 2 * HEIGHT, 1)["objects"] == 0


def test_drawn_scene_is_the_same_every_time():
    assert np.array_equal(draw(160, 128), draw(160, 128))
    assert draw(160, 128).shape == (128, 160, 3)


def test_memory_is_counted_in_mebibytes():
    peak = peak_mib()
    assert peak is None or 10 < peak < 2**20


def test_a_broken_image_is_named_before_anything_is_loaded(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.jpg is not an image"):
        time_pipeline("nowhere", tmp_path / "a.jpg")
