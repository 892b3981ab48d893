"""A pipeline's settings: what is set takes effect, at the start and later."""

import json

import numpy as np
import pytest
import torch

import tiny_segmenter
from oodseg import S2M
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.guarantee import Guarantee
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from redness import Redness, make_pipeline, register, save_pipeline, street


class Moved(BoxSegmenter):
    def __init__(self):
        self.places = []

    def to(self, device):
        self.places.append(device)
        return self


@pytest.fixture
def saved(tmp_path, monkeypatch):
    register(monkeypatch)
    return save_pipeline(tmp_path / "red")


def test_all_settings_can_be_given_when_loading(saved):
    ignore = np.ones((48, 64), bool)
    s2m = S2M.from_pretrained(
        saved,
        "auto",
        working_side=(64, 96),
        concurrent_encoding=True,
        ignore=ignore,
        operating_point="thorough",
    )
    assert s2m.working_side == (64, 96)
    assert s2m.encodes_concurrently
    assert s2m.ignore is ignore
    assert s2m.operating_point == "thorough"
    assert s2m.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert S2M.from_pretrained(saved).working_side == (640, 1024)
    with pytest.raises(TypeError, match="overlap"):
        S2M.from_pretrained(saved, overlap=True)


def test_no_detector_is_not_the_bundled_one(saved):
    assert S2M.from_pretrained(saved, detector="bundled").detector.name == "redness"
    s2m = S2M.from_pretrained(saved, detector=None)
    assert s2m.detector is None
    with pytest.raises(ConfigError, match="no detector: hand in a score map"):
        s2m(street())
    scores = np.zeros((96, 128), np.float32)
    scores[20:50, 10:40] = 9
    assert len(s2m(street(), score_map=scores).objects) == 1
    with pytest.raises(ConfigError, match="no detector"):
        s2m.fit([street()])


def test_without_a_detector_nothing_is_loaded_for_it(saved):
    (saved / "detector.safetensors").unlink()
    assert S2M.from_pretrained(saved, detector=None).detector is None


def test_parts_that_are_put_in_later_go_to_the_pipelines_device(monkeypatch):
    first, later = Moved(), Moved()
    s2m = S2M(Redness(), ComponentPrompts(), first)
    s2m.masks = later
    assert (first.places, later.places) == (["cpu"], ["cpu"])
    monkeypatch.setattr("oodseg.core.stages.choose_device", str)  # every machine has `meta`, for tests alone
    s2m.device = "meta"
    assert later.places == ["cpu", "meta"]
    assert s2m.detector.gain.device.type == "meta"
    with pytest.raises(ConfigError, match="a Moved is not one of the prompts"):
        s2m.prompts = later


def test_settings_are_checked_whenever_they_are_set():
    s2m = make_pipeline()
    with pytest.raises(ConfigError, match="32 <= least <= most, not 640 and 64"):
        s2m.working_side = (640, 64)
    with pytest.raises(ConfigError, match="no operating point 'loud'"):
        s2m.operating_point = "loud"
    s2m.working_side = (64, 64)
    assert s2m(street()).score.shape == (48, 64)


@pytest.mark.parametrize("word", ["tiny+energy", "tiny+sml"])
def test_a_detector_that_was_never_fitted_says_how(saved, monkeypatch, word):
    tiny_segmenter.register(monkeypatch)
    s2m = S2M.from_pretrained(saved, detector=word)
    with pytest.raises(ConfigError, match=r"'logit' was never fitted: .* `oodseg fit` or `S2M.fit`"):
        s2m(street())
    s2m.fit([street((10, 20, 40, 50)), street()])
    assert s2m.detector.fitted
    assert s2m(street()).score.shape == (96, 128)
    with pytest.raises(ConfigError, match="not a generator"):
        s2m.fit(each for each in [street()])


GUARANTEE = Guarantee("miss", 0.1, 0.99, 60, "drives")


def test_a_guarantee_is_saved_and_in_force_when_loaded(tmp_path, monkeypatch):
    register(monkeypatch)
    s2m = make_pipeline()
    s2m.guarantee = GUARANTEE
    s2m.save_pretrained(tmp_path / "sure")
    again = S2M.from_pretrained(tmp_path / "sure")
    assert (again.guarantee, again.operating_point, again.readiness) == (GUARANTEE, "calibrated", 0.99)
    assert again.promise == GUARANTEE.promise()
    quiet = S2M.from_pretrained(tmp_path / "sure", operating_point="quiet")
    assert (quiet.readiness, quiet.promise) == ("quiet", None)
    assert make_pipeline().guarantee is None


@pytest.mark.parametrize("changed", [{"masks": "grabcut"}, {"working_side": (64, 96)}, {"detector": None}])
def test_a_guarantee_is_about_the_pipeline_as_it_was(tmp_path, monkeypatch, changed):
    register(monkeypatch)
    s2m = make_pipeline()
    s2m.guarantee = GUARANTEE
    s2m.save_pretrained(tmp_path / "sure")
    other = S2M.from_pretrained(tmp_path / "sure", **changed)
    assert (other.guarantee, other.operating_point) == (None, "quiet")


def test_new_parts_and_a_new_fit_drop_the_guarantee():
    def calibrated():
        return S2M(
            Redness(), ComponentPrompts(), BoxSegmenter(), guarantee=GUARANTEE, operating_point="calibrated"
        )

    for name, part in (("detector", Redness()), ("prompts", ComponentPrompts()), ("masks", BoxSegmenter())):
        s2m = calibrated()
        setattr(s2m, name, part)
        assert (s2m.guarantee, s2m.operating_point) == (None, "quiet"), name
    s2m = calibrated()
    s2m.device = "cpu"
    assert s2m.guarantee == GUARANTEE
    s2m.fit([street((0, 0, 9, 9))])
    assert s2m.guarantee is None


def test_boxes_below_the_least_confidence_are_dropped():
    s2m = make_pipeline()
    confidence = s2m(street((20, 30, 60, 70))).objects[0].confidence
    for least, count in ((confidence - 0.001, 1), (min(1.0, confidence + 0.001), 0 if confidence < 1 else 1)):
        s2m.operating_point = least
        assert len(s2m(street((20, 30, 60, 70))).objects) == count


def test_operating_points_that_make_no_sense():
    with pytest.raises(ConfigError, match=r"must lie in 0\.\.1, not at 1\.5"):
        make_pipeline().operating_point = 1.5
    with pytest.raises(ConfigError, match="calibrated takes a pipeline of `oodseg calibrate`"):
        make_pipeline().operating_point = "calibrated"


def test_a_guarantee_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    register(monkeypatch)
    folder = save_pipeline(tmp_path / "red")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "guarantee": {"risk": "miss"}}))
    with pytest.raises(WeightsError, match="the guarantee cannot be read"):
        S2M.from_pretrained(folder)
