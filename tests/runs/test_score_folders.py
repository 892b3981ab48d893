import os
from dataclasses import replace

import numpy as np
import pytest

import oodseg.runs
from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.input_warnings import InputWarning, collect_warnings
from oodseg.core.normalization import ScoreNormalizer
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.runs.items import open_source
from oodseg.runs.scores import ScoreMaps
from redness import HEIGHT, WIDTH, save_street, street
from run_helpers import assert_whole, coco_of, count_calls, save_photos


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path / "photos")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def save_scores(folder, name, how=""):
    folder.mkdir(exist_ok=True)
    scores = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    scores[30:50, 20:40] += 100
    if how == "wrong size":
        scores = scores[:, : WIDTH // 2]
    elif how == "nan":
        scores[0, :5] = np.nan
    elif how == "infinite":
        scores[0, :5] = -np.inf
    elif how == "all nan":
        scores[:] = np.nan
    elif how == "constant":
        scores[:] = 3
    elif how == "text":
        scores = np.full((HEIGHT, WIDTH), "x")
    np.save(folder / f"{name}.npy", scores)


@pytest.fixture
def scores(tmp_path):
    for name in "123":
        save_scores(tmp_path / "scores", name)
    return tmp_path / "scores"


def test_score_maps_in_place_of_the_detector(red, tmp_path, out):
    """The object is where the scores are high, not where the image is red."""
    for name in ("a", "b"):
        save_street(tmp_path / "photos" / f"{name}.png", (90, 0, 120, 20))
        save_scores(tmp_path / "scores", name)
    oodseg.runs.predict(tmp_path / "photos", red, out, score_maps=tmp_path / "scores")
    assert [each["bbox"] for each in coco_of(out)["annotations"]] == [[20, 30, 20, 20]] * 2


def test_the_detector_is_not_even_loaded(red, photos, scores, out):
    (red / "detector.safetensors").unlink()
    run = oodseg.runs.predict(photos, red, out, score_maps=scores, detector="segformer:nowhere+energy")
    assert run.objects == 3
    assert coco_of(out)["info"]["settings"]["detector"] is None


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("wrong size", "64x96 pixels but its image is 128x96"),
        ("all nan", "no finite value"),
        ("constant", "is 3 everywhere"),
        ("text", "instead of numbers"),
    ],
)
def test_bad_score_map_is_named_and_the_rest_goes_on(red, photos, scores, out, how, word):
    save_scores(scores, "2", how)
    run = oodseg.runs.predict(photos, red, out, score_maps=scores)
    assert list(run.failures) == ["2.png"]
    assert str(scores / "2.npy") in run.failures["2.png"]
    assert word in run.failures["2.png"]
    assert len(coco_of(out)["images"]) == 2
    assert_whole(out)


@pytest.mark.parametrize("how", ["nan", "infinite"])
def test_mended_score_map_warns(red, photos, scores, out, how):
    save_scores(scores, "2", how)
    expected = f"{scores / '2.npy'}: 5 of {HEIGHT * WIDTH} scores were NaN or infinite and were replaced"
    for _ in range(2):  # a finished run says it again
        with pytest.warns(InputWarning) as told:
            run = oodseg.runs.predict(photos, red, out, score_maps=scores)
        found = [str(each.message) for each in told if each.category is InputWarning]
        assert found == run.warnings == [expected]
        assert coco_of(out)["info"]["warnings"] == [{"file_name": "2.png", "warning": expected}]
    assert run.done_before == 3


def test_missing_folder_and_missing_map(red, photos, tmp_path, out):
    with pytest.raises(ScoreMapError, match="none does not exist"):
        oodseg.runs.predict(photos, red, out, score_maps=tmp_path / "none")
    save_scores(tmp_path / "scores", "1")
    run = oodseg.runs.predict(photos, red, out, score_maps=tmp_path / "scores")
    assert list(run.failures) == ["2.png", "3.png"]
    assert "holds no score map named '3'" in run.failures["3.png"]


def test_score_maps_of_several_folders_are_not_mixed_up(red, tmp_path, out):
    for town in ("bern", "ulm"):
        save_street(tmp_path / "photos" / town / "1.png")
    save_scores(tmp_path / "scores", "1")
    run = oodseg.runs.predict(tmp_path / "photos", red, out, score_maps=tmp_path / "scores")
    assert "'bern/1'" in run.failures["bern/1.png"]
    assert "'ulm/1'" in run.failures["ulm/1.png"]


def test_a_changed_score_map_is_read_again(red, photos, scores, out, monkeypatch):
    oodseg.runs.predict(photos, red, out, score_maps=scores)
    calls = count_calls(monkeypatch)
    os.utime(scores / "2.npy", ns=(1, 1))
    assert oodseg.runs.predict(photos, red, out, score_maps=scores).done_before == 2
    assert len(calls) == 1


def test_images_in_memory_find_their_maps_by_name(red, scores, out):
    images = iter([("1", street()), ("9", street())])
    run = oodseg.runs.predict(images, red, out, score_maps=scores)
    assert run.objects == 1
    assert "'9'" in run.failures["9"]


def predict(photos, red, out, scores, **options):
    with collect_warnings(forward=False) as warned:
        run = oodseg.runs.predict(photos, red, out, score_maps=scores, **options)
    return run, warned


def test_a_single_map_goes_with_a_single_image(red, photos, scores, out):
    """Whatever the two are called."""
    run, warned = predict(photos / "1.png", red, out, scores / "2.npy")
    assert (run.objects, warned) == (1, [])
    with pytest.raises(ConfigError, match=r"2\.npy is the score map of one image: give a folder"):
        predict(photos, red, out / "2", scores / "2.npy")


@pytest.mark.parametrize("how", ["numbers", "text", "folder", "normalizer"])
def test_statistics_of_ordinary_images(red, photos, scores, tmp_path, out, how):
    """Three maps with an object each say little about ordinary images."""
    ordinary = np.random.default_rng(1).normal(size=(HEIGHT, WIDTH))
    (tmp_path / "ordinary").mkdir()
    np.save(tmp_path / "ordinary" / "a.npy", ordinary)
    mean, std = float(ordinary.mean()), float(ordinary.std())
    stats = {
        "numbers": (mean, std),
        "text": f"{mean},{std}",
        "folder": tmp_path / "ordinary",
        "normalizer": ScoreNormalizer(mean, std),
    }[how]
    run, _ = predict(photos, red, out, scores, score_stats=stats)
    settings = coco_of(out)["info"]["settings"]["scores"]
    assert (settings["mean"], settings["std"]) == (pytest.approx(mean), pytest.approx(std))
    assert (run.objects, run.highest_score) == (3, 16.0)


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "nowhere"])
def test_statistics_that_are_none(red, photos, scores, out, text):
    with pytest.raises(ConfigError, match="write MEAN,STD"):
        predict(photos, red, out, scores, score_stats=text)
    with pytest.raises(ScoreMapError, match="std > 0"):
        predict(photos, red, out, scores, score_stats="1,0")


def test_maps_beside_their_images(red, photos, out):
    """Both are PNG or .npy by suffix; an image is no map."""
    for name in "123":
        save_scores(photos, name)
    run, warned = predict(photos, red, out, photos)
    assert (run.with_objects, run.failures) == (3, {})
    assert all("passed over: 3 files that are no images" in each for each in warned)
    for path in photos.glob("*.npy"):
        path.unlink()
    with pytest.raises(ScoreMapError, match="is a colour image of scores"):
        predict(photos, red, out, photos)


def turn_round(scores):
    for path in scores.glob("*.npy"):
        np.save(path, -np.load(path))


def test_maps_turned_round_are_told(red, photos, scores, out):
    turn_round(scores)
    run, warned = predict(photos, red, out, scores)
    assert run.objects == 0
    assert len(warned) == 2
    assert "below their median and only" in warned[0]
    assert "higher must mean more anomalous" in warned[0]
    assert "nothing was found" in warned[1]
    assert "turned round they give 3 objects" in warned[1]


def test_nothing_is_said_of_maps_that_work(red, photos, scores, out):
    assert predict(photos, red, out, scores)[1] == []


def test_a_map_that_objects_fill_is_told(red, photos, tmp_path, out):
    """In three maps that hold large objects nothing stands out from all three together."""
    for name in "123":
        save_scores(tmp_path / "scores", name)
        values = np.load(tmp_path / "scores" / f"{name}.npy")
        values[:, :60] += 100
        np.save(tmp_path / "scores" / f"{name}.npy", values)
    run, (warning,) = predict(photos, red, out, tmp_path / "scores")
    assert run.objects == 0
    assert "their statistics come from 3 maps" in warning
    assert "--score-stats" in warning
    _, warned = predict(photos, red, out / "2", tmp_path / "scores", score_stats=(0.0, 1.0))
    assert warned == []


def test_a_generator_that_makes_nothing_of_high_scores_is_told(photos, scores, out):
    class Blind(ComponentPrompts):
        def _one(self, score):
            return super()._one(score * 0)

    s2m = S2M(None, Blind(), BoxSegmenter())
    _, (warning,) = predict(photos, s2m, out, scores, settings={"pipeline": "blind"}, score_stats=(0.0, 1.0))
    assert "which rise 16.0 standard deviations" in warning
    assert warning.endswith("so try --operating-point thorough or --prompts components")


def test_flat_maps_are_told(red, photos, scores, out):
    for path in scores.glob("*.npy"):
        np.save(path, np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)))
    _, (warning,) = predict(photos, red, out, scores, score_stats=(0.0, 2.0))
    assert "unknown objects usually reach 5" in warning


def test_a_finished_run_looks_no_more(red, photos, scores, out):
    turn_round(scores)
    predict(photos, red, out, scores)
    assert len(predict(photos, red, out, scores)[1]) == 1, "the tails alone"


def test_a_map_by_a_name_that_two_images_share_is_taken_for_none(red, tmp_path, out):
    save_street(tmp_path / "photos" / "a.png", (20, 30, 60, 70))
    save_street(tmp_path / "photos" / "a.bmp", (20, 30, 60, 70))
    save_scores(tmp_path / "scores", "a")
    run = oodseg.runs.predict(tmp_path / "photos", red, out, score_maps=tmp_path / "scores")
    assert set(run.failures) == {"a.png", "a.bmp"}
    assert "holds no score map named 'a.png'" in run.failures["a.png"]
    for name in ("a.png", "a.bmp"):
        save_scores(tmp_path / "scores", name)
    assert not oodseg.runs.predict(tmp_path / "photos", red, out, score_maps=tmp_path / "scores").failures


def test_maps_are_named_as_the_images_of_this_call(tmp_path):
    """A run's folder may know an image by a longer name."""
    for part in "xy":
        save_street(tmp_path / "ulm" / part / "2.png")
        (tmp_path / "scores" / part).mkdir(parents=True)
        save_scores(tmp_path / "scores" / part, "2")
    source = open_source(tmp_path / "ulm")
    maps = ScoreMaps(tmp_path / "scores", source, (0.0, 1.0))
    assert maps.find(replace(source.items[0], key="ulm/x/2")) == tmp_path / "scores" / "x" / "2.npy"


@pytest.mark.parametrize("far", [1e9, -1e12])
def test_small_differences_of_large_scores_are_seen(red, photos, scores, out, tmp_path, far):
    for path in scores.iterdir():
        (tmp_path / "far").mkdir(exist_ok=True)
        np.save(tmp_path / "far" / path.name, np.load(path).astype(np.float64) * 1e-2 + far)
    near = oodseg.runs.predict(photos, red, out, score_maps=scores)
    away = oodseg.runs.predict(photos, red, tmp_path / "other", score_maps=tmp_path / "far")
    assert near.objects == away.objects == 3
    boxes = [
        [each["bbox"] for each in coco_of(folder)["annotations"]] for folder in (out, tmp_path / "other")
    ]
    assert boxes[0] == boxes[1]
