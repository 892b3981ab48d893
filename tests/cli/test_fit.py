import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from oodseg.cli.fit import spread
from oodseg.cli.main import app
from oodseg.core.errors import ConfigError
from oodseg.core.weights import pack, unpack
from oodseg.detectors import DETECTORS, ScoreNormalizer
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.sml import SML
from oodseg.io.images import read_image, resize, to_tensor
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters import SEGMENTERS
from tiny_segmenter import TinySegmenter, pictures, register

SIZES = ((60, 80), (48, 96), (100, 70))


class TinySml(LogitDetector):
    """What `--detector tiny+sml` stands for."""

    def __init__(self):
        super().__init__({"name": "tiny", "config": {}}, "sml", smooth=1.0)


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A pipeline folder to take prompts and masks from; `tiny_sml` is a detector that knows nothing yet."""
    register(monkeypatch)
    monkeypatch.setitem(DETECTORS, "tiny_sml", "test_fit:TinySml")
    detector = LogitDetector({"name": "tiny", "config": {}}, normalizer=ScoreNormalizer(0.0, 2.0))
    s2m = S2M(detector, ComponentPrompts(min_area=33), BoxSegmenter(), working_side=(32, 48))
    s2m.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def photos(tmp_path):
    """Pictures of three sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        height, width = SIZES[number % 3]
        pixels = pictures(1, height, width, seed=number)[0][0, :, :height, :width]
        Image.fromarray((pixels.permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(
            folder / f"{number}.png"
        )
    return folder


def fit(base, out, *arguments, detector="tiny_sml"):
    arguments = [str(each) for each in (*arguments, "--detector", detector, "--pipeline", base, "--out", out)]
    return CliRunner().invoke(app, ["fit", *arguments], env={"COLUMNS": "250"})


def assert_sentence(result, code, *words):
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    for word in words:
        assert str(word) in result.output, result.output


def working(s2m, photos, names):
    for name in names:
        image = read_image(photos / name)
        yield to_tensor(resize(image, *s2m.working_size(*image.shape[:2])))[None]


def test_fits_saves_and_predicts(base, photos, tmp_path) -> None:
    out = tmp_path / "mine"
    assert_sentence(fit(base, out, photos), 0, "on 6 pictures", f"oodseg predict PICTURES --pipeline {out}")
    fitted = S2M.from_pretrained(out)
    # The same figures by hand, at the working size.
    batches = list(working(fitted, photos, [f"{number}.png" for number in range(6)]))
    assert max(batches[0].shape) == 40
    by_hand = SML()
    by_hand.fit(TinySegmenter().segment(each) for each in batches)
    torch.testing.assert_close(fitted.detector.rule.mean, by_hand.mean)
    torch.testing.assert_close(fitted.detector.rule.std, by_hand.std)
    scores = ScoreNormalizer.fit(fitted.detector.score(each) for each in batches)
    assert fitted.detector.normalizer.mean == pytest.approx(scores.mean, abs=1e-6)
    assert fitted.detector.normalizer.std == pytest.approx(scores.std, rel=1e-6)
    record = json.loads((out / "fit.json").read_text())
    assert record["pictures"] == 6
    assert (record["mean"], record["std"]) == (
        fitted.detector.normalizer.mean,
        fitted.detector.normalizer.std,
    )
    # Prompts, masks and working size are the other pipeline's.
    assert fitted.prompts.config["min_area"] == 33
    assert fitted.working_side == (32, 48)
    assert fitted.name == "mine"
    arguments = ["predict", str(photos), "--pipeline", str(out), "--out", str(tmp_path / "found")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "found" / "predictions.json").read_text())["images"]) == 6


def test_a_limit_takes_pictures_evenly(base, photos, tmp_path) -> None:
    assert_sentence(fit(base, tmp_path / "mine", photos, "--limit", 3), 0, "on 3 pictures")
    fitted = S2M.from_pretrained(tmp_path / "mine")
    by_hand = SML()
    chosen = working(fitted, photos, ["0.png", "2.png", "4.png"])
    by_hand.fit(TinySegmenter().segment(each) for each in chosen)
    torch.testing.assert_close(fitted.detector.rule.mean, by_hand.mean)


@pytest.mark.parametrize(
    ("count", "limit", "expected"), [(5, 9, [0, 1, 2, 3, 4]), (10, 3, [0, 3, 6]), (4, 1, [0])]
)
def test_spread(count, limit, expected) -> None:
    assert spread(list(range(count)), limit) == expected


def test_broken_pictures_are_named_and_left_out(base, photos, tmp_path) -> None:
    assert fit(base, tmp_path / "clean", photos).exit_code == 0
    (photos / "7.png").write_bytes(b"")
    (photos / "8.jpg").write_bytes(b"no picture at all")
    result = fit(base, tmp_path / "mine", photos)
    assert_sentence(result, 0, "on 6 pictures", "7.png is empty", "8.jpg is not a picture")
    clean, mine = (S2M.from_pretrained(tmp_path / name).detector for name in ("clean", "mine"))
    assert torch.equal(clean.rule.mean, mine.rule.mean)
    assert clean.normalizer == mine.normalizer


def test_no_picture_that_can_be_read(base, tmp_path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    result = fit(base, tmp_path / "mine", tmp_path / "1.png")
    assert_sentence(result, 2, "none of the 1 pictures can be read", "1.png is empty")
    assert not (tmp_path / "mine").exists()


def test_a_detector_without_statistics_gets_its_range(base, photos, tmp_path) -> None:
    """Any detector can be fitted; `redness` knows of no `fit` at all."""
    from redness import register as register_redness

    with pytest.MonkeyPatch.context() as patch:
        register_redness(patch)
        assert_sentence(fit(base, tmp_path / "mine", photos, detector="redness"), 0)
        fitted = S2M.from_pretrained(tmp_path / "mine")
    assert fitted.detector.name == "redness"
    assert fitted.detector.normalizer != ScoreNormalizer(0.0, 0.1)


def test_nobody_elses_folder_is_written_into(base, photos, tmp_path) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    assert_sentence(fit(base, foreign, photos), 2, "did not write", "--out")
    assert [path.name for path in foreign.iterdir()] == ["chapter.txt"]
    # A trained pipeline is no fitted one either, and neither is a file.
    before = (base / "config.json").read_text()
    assert_sentence(fit(base, base, photos), 2, "did not write")
    assert (base / "config.json").read_text() == before
    assert_sentence(fit(base, foreign / "chapter.txt", photos), 2, "did not write")


def test_an_earlier_fit_is_done_anew(base, photos, tmp_path) -> None:
    assert fit(base, tmp_path / "mine", photos).exit_code == 0
    first = S2M.from_pretrained(tmp_path / "mine").detector.normalizer
    assert fit(base, tmp_path / "mine", photos / "1.png").exit_code == 0
    assert S2M.from_pretrained(tmp_path / "mine").detector.normalizer != first


@pytest.mark.parametrize(("detector", "words"), [
    ("nonsense", ("no 'nonsense'",)),
    ("mute", ("rba needs a mask classifier", "mute gives no mask queries")),
])  # fmt: skip
def test_faults_end_in_a_sentence(base, photos, tmp_path, monkeypatch, detector, words) -> None:
    monkeypatch.setitem(SEGMENTERS, "mute", "test_fit:Mute")
    monkeypatch.setitem(DETECTORS, "mute", "test_fit:MuteRba")
    assert_sentence(fit(base, tmp_path / "mine", photos, detector=detector), 2, *words)
    assert not (tmp_path / "mine").exists()


class Mute(TinySegmenter):
    name = "mute"

    def __init__(self):
        super().__init__(gives=())
        self.config = {}


class MuteRba(LogitDetector):
    def __init__(self):
        super().__init__({"name": "mute"}, "rba")


def test_what_cannot_be_saved_is_refused_before_the_work(base, photos, tmp_path, monkeypatch) -> None:
    from oodseg.cli.fit import Pictures, run_fit

    s2m = S2M.from_pretrained(base, detector=LogitDetector(torch.nn.Conv2d(3, 4, 1), "sml"))
    with pytest.raises(ConfigError, match="cannot be saved"):
        run_fit(s2m, Pictures([photos / "1.png"], s2m), tmp_path / "mine", {})
    assert not s2m.detector.rule.fitted


def test_help_teaches() -> None:
    text = CliRunner().invoke(app, ["fit", "--help"], env={"COLUMNS": "200"}).output
    for word in (
        "nothing is unknown",
        "No labels",
        "oodseg predict photos/ --pipeline my_pipeline",
        "--limit",
    ):
        assert word in text


def test_street_with_a_fitted_score_end_to_end(photos, tmp_path) -> None:
    """The shipped network and prompts, a score that learns, and a prediction with the result."""
    out = tmp_path / "mine"
    result = fit("street", out, photos, "--limit", 2, detector="street+sml")
    assert_sentence(result, 0, "fitted street+sml on 2 pictures")
    before = S2M.from_pretrained("street", detector="street+sml").detector
    fitted = S2M.from_pretrained(out)
    image = torch.rand(1, 3, 64, 96)
    # What ships lies in 8 bits, what is saved in 16: it is compared with the shipped network in 16.
    network = before.segmenter
    network.load_state_dict(unpack(pack(network.state_dict(), exact=dict(network.named_buffers()))))
    shipped = network.segment(image).logits
    torch.testing.assert_close(fitted.detector.segmenter.segment(image).logits, shipped)
    assert fitted.detector.rule.config == "sml"
    assert len(fitted.detector.rule.mean) == shipped.shape[1]
    assert fitted.detector.normalizer != ScoreNormalizer()
    score = fitted(photos / "0.png").score
    assert score.shape == (60, 80)
    assert np.isfinite(score).all()


def test_without_a_detector_the_pipelines_own_is_fitted(base, photos, tmp_path) -> None:
    arguments = ["fit", str(photos), "--pipeline", str(base), "--out", str(tmp_path / "mine")]
    assert_sentence(CliRunner().invoke(app, arguments, env={"COLUMNS": "250"}), 0, "fitted the detector on 6")
    fitted = S2M.from_pretrained(tmp_path / "mine").detector
    assert fitted.rule.name == "energy"
    assert fitted.normalizer != ScoreNormalizer(0.0, 2.0)


def test_the_range_is_that_of_the_scores_with_details(tmp_path) -> None:
    from oodseg.cli.fit import Pictures, run_fit

    s2m = S2M.from_pretrained("street")
    path = tmp_path / "large.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (320, 1280, 3), np.uint8)).save(path)
    image = read_image(path)
    detailed = ScoreNormalizer.fit([s2m.detector_score(image)])
    plain = ScoreNormalizer.fit([s2m.detector.score(to_tensor(resize(image, 160, 640))[None])])
    run_fit(s2m, Pictures([path], s2m), tmp_path / "mine", {})
    assert s2m.detector.normalizer == detailed
    assert detailed != plain
