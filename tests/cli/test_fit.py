import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.core.weights import pack, unpack
from oodseg.detectors import DETECTORS, ScoreNormalizer
from oodseg.detectors.logit import LogitDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters import SEGMENTERS
from run_helpers import assert_sentence
from tiny_segmenter import TinySegmenter, register


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A pipeline folder to take prompts and masks from."""
    register(monkeypatch)
    detector = LogitDetector(TinySegmenter(), normalizer=ScoreNormalizer(0.0, 2.0))
    s2m = S2M(detector, ComponentPrompts(min_area=33), BoxSegmenter(), working_side=(32, 48))
    s2m.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def photos(tmp_path, rng):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def fit(base, out, *arguments):
    arguments = [str(each) for each in (*arguments, "--pipeline", base, "--out", out)]
    return CliRunner().invoke(app, ["fit", *arguments], env={"COLUMNS": "250"})


def test_fits_saves_and_predicts(base, photos, tmp_path) -> None:
    out = tmp_path / "mine"
    (photos / "7.png").write_bytes(b"")
    result = fit(base, out, photos)
    assert_sentence(result, 0, "left out: ", "7.png is empty", "fitted the detector on 3 images")
    assert_sentence(result, 0, f"oodseg predict IMAGES --pipeline {out}")
    fitted = S2M.from_pretrained(out).detector
    assert fitted.rule.name == "energy"
    assert fitted.normalizer != ScoreNormalizer(0.0, 2.0)
    (photos / "7.png").unlink()
    arguments = ["predict", str(photos), "--pipeline", str(out), "--out", str(tmp_path / "found")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "found" / "predictions.json").read_text())["images"]) == 3


def test_a_limit(base, photos, tmp_path) -> None:
    assert_sentence(fit(base, tmp_path / "mine", photos, "--limit", 2), 0, "on 2 images")


@pytest.mark.parametrize(("detector", "words"), [
    ("nonsense", ("no 'nonsense'",)),
    ("mute", ("rba needs a mask classifier", "mute gives no mask queries")),
])  # fmt: skip
def test_faults_end_in_a_sentence(base, photos, tmp_path, monkeypatch, detector, words) -> None:
    monkeypatch.setitem(SEGMENTERS, "mute", "test_fit:Mute")
    monkeypatch.setitem(DETECTORS, "mute", "test_fit:MuteRba")
    assert_sentence(fit(base, tmp_path / "mine", photos, "--detector", detector), 2, *words)
    assert not (tmp_path / "mine").exists()


def test_nobody_elses_folder_is_written_into(base, photos, tmp_path) -> None:
    assert_sentence(fit(base, photos, photos), 2, "did not write", "--out")


class Mute(TinySegmenter):
    name = "mute"

    def __init__(self):
        super().__init__(gives=())

    def arguments(self):
        return {}


class MuteRba(LogitDetector):
    def __init__(self):
        super().__init__(Mute(), "rba")


def test_help_teaches() -> None:
    text = CliRunner().invoke(app, ["fit", "--help"], env={"COLUMNS": "200"}).output
    for word in (
        "without unknown objects",
        "No labels",
        "oodseg predict photos/ --pipeline my_pipeline",
        "--limit",
    ):
        assert word in text


def test_street_with_a_fitted_score_end_to_end(photos, tmp_path) -> None:
    """The shipped network and prompts, a score that learns, and a prediction with the result."""
    out = tmp_path / "mine"
    result = fit("street", out, photos, "--limit", 2, "--detector", "street+sml")
    assert_sentence(result, 0, "fitted street+sml on 2 images")
    before = S2M.from_pretrained("street", detector="street+sml").detector
    fitted = S2M.from_pretrained(out)
    image = torch.rand(1, 3, 64, 96)
    # What ships lies in 8 bits, what is saved in 16: it is compared with the shipped network in 16.
    network = before.segmenter
    network.load_state_dict(unpack(pack(network.state_dict(), exact=dict(network.named_buffers()))))
    shipped = network.segment(image).logits
    torch.testing.assert_close(fitted.detector.segmenter.segment(image).logits, shipped)
    assert fitted.detector.rule.name == "sml"
    assert len(fitted.detector.rule.mean) == shipped.shape[1]
    assert fitted.detector.normalizer != ScoreNormalizer()
    score = fitted(photos / "0.png").score
    assert score.shape == (60, 80)
    assert np.isfinite(score).all()
