import os

import numpy as np
import pytest

import oodseg.runs
from oodseg.core.errors import ScoreMapError
from oodseg.core.input_warnings import InputWarning
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
