import json

import numpy as np
import pytest
import torch
from PIL import Image

import oodseg.runs
from oodseg.core.errors import ConfigError, ImageError
from oodseg.detectors import DETECTORS, ScoreNormalizer
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.sml import SML
from oodseg.io.images import read_image, resize, to_tensor
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.runs.statistics import spread
from redness import street
from tiny_segmenter import TinySegmenter, images, register

SIZES = ((60, 80), (48, 96), (100, 70))


class TinySml(LogitDetector):
    """What the detector `tiny+sml` stands for."""

    def __init__(self):
        super().__init__(TinySegmenter(), "sml", smooth=1.0)


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A pipeline folder to take prompts and masks from; `tiny_sml` is a detector that knows nothing yet."""
    register(monkeypatch)
    monkeypatch.setitem(DETECTORS, "tiny_sml", "test_statistics:TinySml")
    detector = LogitDetector(TinySegmenter(), normalizer=ScoreNormalizer(0.0, 2.0))
    s2m = S2M(detector, ComponentPrompts(min_area=33), BoxSegmenter(), working_side=(32, 48))
    s2m.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def photos(tmp_path):
    """Images of three sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        height, width = SIZES[number % 3]
        pixels = images(1, height, width, seed=number)[0][0, :, :height, :width]
        Image.fromarray((pixels.permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(
            folder / f"{number}.png"
        )
    return folder


def fit(base, out, source, **options):
    return oodseg.runs.fit(source, base, out, detector="tiny_sml", **options)


def working(s2m, photos, names):
    for name in names:
        image = read_image(photos / name)
        yield to_tensor(resize(image, *s2m.working_size(*image.shape[:2])))[None]


def test_fits_and_saves(base, photos, tmp_path) -> None:
    out = tmp_path / "mine"
    run = fit(base, out, photos)
    assert (run.images, run.failures) == (6, {})
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
    assert (run.mean, run.std) == (fitted.detector.normalizer.mean, fitted.detector.normalizer.std)
    record = json.loads((out / "fit.json").read_text())
    assert record == {
        "detector": "tiny_sml", "pipeline": str(base), "images": 6, "mean": run.mean, "std": run.std,
    }  # fmt: skip
    # Prompts, masks and working size are the other pipeline's.
    assert fitted.prompts.config["min_area"] == 33
    assert fitted.working_side == (32, 48)
    assert fitted.name == "mine"
    assert oodseg.runs.predict(photos, out, tmp_path / "found").notes == []


def test_a_pipeline_in_memory_is_fitted_in_place(base, photos) -> None:
    s2m = S2M.from_pretrained(base, detector="tiny_sml")
    assert not s2m.detector.fitted
    run = oodseg.runs.fit(photos, s2m)
    assert s2m.detector.fitted
    assert s2m.detector.normalizer == ScoreNormalizer(run.mean, run.std)
    with pytest.raises(ConfigError, match=r"put it into S2M"):
        oodseg.runs.fit(photos, s2m, detector="tiny_sml")


def test_images_in_memory_do_as_well(base) -> None:
    s2m = S2M.from_pretrained(base, detector="tiny_sml")
    images = (street((number, 10, 60, 50)) for number in range(3))
    assert oodseg.runs.fit(images, s2m).images == 3
    assert s2m.detector.rule.fitted


def test_a_limit_takes_images_evenly(base, photos, tmp_path) -> None:
    assert fit(base, tmp_path / "mine", photos, limit=3).images == 3
    fitted = S2M.from_pretrained(tmp_path / "mine")
    by_hand = SML()
    chosen = working(fitted, photos, ["0.png", "2.png", "4.png"])
    by_hand.fit(TinySegmenter().segment(each) for each in chosen)
    torch.testing.assert_close(fitted.detector.rule.mean, by_hand.mean)


@pytest.mark.parametrize(
    ("count", "limit", "expected"), [(5, 9, [0, 1, 2, 3, 4]), (10, 3, [0, 3, 6]), (4, 1, [0]), (0, 3, [])]
)
def test_spread(count, limit, expected) -> None:
    assert spread(list(range(count)), limit) == expected


def test_broken_images_are_named_and_left_out(base, photos, tmp_path) -> None:
    fit(base, tmp_path / "clean", photos)
    (photos / "7.png").write_bytes(b"")
    (photos / "8.jpg").write_bytes(b"no image at all")
    run = fit(base, tmp_path / "mine", photos)
    assert run.images == 6
    assert list(run.failures) == ["7.png", "8.jpg"]
    assert "7.png is empty" in run.failures["7.png"]
    clean, mine = (S2M.from_pretrained(tmp_path / name).detector for name in ("clean", "mine"))
    assert torch.equal(clean.rule.mean, mine.rule.mean)
    assert clean.normalizer == mine.normalizer


def test_no_image_that_can_be_read(base, tmp_path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"none of the 1 images can be read; the first: .*1\.png is empty"):
        fit(base, tmp_path / "mine", tmp_path / "1.png")
    assert not (tmp_path / "mine").exists()


def test_a_detector_without_statistics_gets_its_range(base, photos, tmp_path, monkeypatch) -> None:
    """Any detector can be fitted; `redness` has nothing else to learn."""
    from redness import register as register_redness

    register_redness(monkeypatch)
    oodseg.runs.fit(photos, base, tmp_path / "mine", detector="redness")
    fitted = S2M.from_pretrained(tmp_path / "mine")
    assert fitted.detector.name == "redness"
    assert fitted.detector.normalizer != ScoreNormalizer(0.0, 0.1)


def test_nobody_elses_folder_is_written_into(base, photos, tmp_path) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    before = (base / "config.json").read_text()
    # A trained pipeline is no fitted one either, and neither is a file.
    for target in (foreign, base, foreign / "chapter.txt"):
        with pytest.raises(ConfigError, match="did not write"):
            fit(base, target, photos)
    assert [path.name for path in foreign.iterdir()] == ["chapter.txt"]
    assert (base / "config.json").read_text() == before


def test_an_earlier_fit_is_done_anew(base, photos, tmp_path) -> None:
    fit(base, tmp_path / "mine", photos)
    first = S2M.from_pretrained(tmp_path / "mine").detector.normalizer
    fit(base, tmp_path / "mine", photos / "1.png")
    assert S2M.from_pretrained(tmp_path / "mine").detector.normalizer != first


def test_what_cannot_be_saved_is_refused_before_the_work(base, photos, tmp_path) -> None:
    s2m = S2M.from_pretrained(base, detector=LogitDetector(torch.nn.Conv2d(3, 4, 1), "sml"))
    with pytest.raises(ConfigError, match="cannot be saved"):
        oodseg.runs.fit(photos, s2m, tmp_path / "mine")
    assert not s2m.detector.rule.fitted


def test_without_a_detector_there_is_nothing_to_fit(photos) -> None:
    s2m = S2M(None, ComponentPrompts(), BoxSegmenter())
    with pytest.raises(ConfigError, match="no detector to fit"):
        oodseg.runs.fit(photos, s2m)


def test_the_range_is_that_of_the_scores_with_details(tmp_path) -> None:
    s2m = S2M.from_pretrained("street")
    path = tmp_path / "large.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (320, 1280, 3), np.uint8)).save(path)
    image = read_image(path)
    detailed = ScoreNormalizer.fit([s2m.detector_score(image)])
    plain = ScoreNormalizer.fit([s2m.detector.score(to_tensor(resize(image, 160, 640))[None])])
    oodseg.runs.fit(path, s2m, tmp_path / "mine")
    assert s2m.detector.normalizer == detailed
    assert detailed != plain
