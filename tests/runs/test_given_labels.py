"""Stored labels of images are judged as a segmenter's are."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.runs import judge

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def labelled(tmp_path):
    """Three images of a dark and a bright half; the labels of the second have a wrong patch."""
    rng = np.random.default_rng(0)
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[:, 32:] = 40
    for number in range(3):
        image = np.where(truth[..., None] > 0, 200, 50) + rng.normal(0, 8, (HEIGHT, WIDTH, 3))
        label = truth.copy()
        if number == 1:
            label[8:40, 8:30] = 40
        for folder, pixels in (("images", image.clip(0, 255)), ("labels", label)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def test_the_wrong_labels_come_first(labelled, tmp_path):
    run = judge(labelled / "images", out=tmp_path / "out", predictions=labelled / "labels", device="cpu")
    assert run.worst()[0].name == "1.png"
    assert run.listed.classes == ("class 0", "class 40")
    stored = np.asarray(Image.open(tmp_path / "out" / "labels" / "1.png"))
    assert np.array_equal(stored == 1, np.asarray(Image.open(labelled / "labels" / "1.png")) == 40)
    error = np.asarray(Image.open(tmp_path / "out" / "error" / "1.png")) / 65535
    assert error[8:40, 8:30].mean() > 5 * error[:, 40:].mean()
    about = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert about["info"]["settings"]["detector"] == "consistency"
    again = judge(labelled / "images", out=tmp_path / "out", predictions=labelled / "labels", device="cpu")
    assert again.done_before == 3


def test_a_changed_label_is_judged_again_and_a_missing_or_small_one_is_named(labelled, tmp_path):
    options = {"out": tmp_path / "out", "predictions": labelled / "labels", "device": "cpu"}
    judge(labelled / "images", **options)
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(labelled / "labels" / "0.png")
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(labelled / "labels" / "1.png")
    (labelled / "labels" / "2.png").unlink()
    run = judge(labelled / "images", **options, classes={0: "dark", 40: "bright"}, fresh=True)
    assert run.done_before == 0
    assert run.listed.classes == ("dark", "bright", "other")
    assert "the labels of 1.png are 6x5 pixels, the image is 64x48" in run.failures["1.png"]
    assert "holds no labels named '2'" in run.failures["2.png"]


def test_labels_by_a_name_that_two_images_share_are_taken_for_none(labelled, tmp_path):
    (labelled / "images" / "far").mkdir()
    for path, other in (("0.png", "0.bmp"), ("1.png", "far/1.png")):
        Image.open(labelled / "images" / path).save(labelled / "images" / other)
    run = judge(labelled / "images", out=tmp_path / "out", predictions=labelled / "labels", device="cpu")
    assert set(run.failures) == {"0.png", "0.bmp", "far/1.png"}
    assert "holds no labels named '0.bmp'" in run.failures["0.bmp"]
    assert "holds no labels named 'far/1'" in run.failures["far/1.png"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"segmenter": "street"}, ConfigError, "either stored labels are judged or a segmenter"),
        ({"detector": "entropy"}, ConfigError, "entropy reads the probabilities of a network"),
        ({"detector": "street"}, DatasetError, "holds the code 40, but the detector knows 0 drivable"),
        ({"detector": "street", "classes": {0: "moon"}}, ConfigError, "the detector knows no class 'moon'"),
        ({"predictions": "nowhere"}, ConfigError, "nowhere does not exist"),
        ({"predictions": None, "classes": {0: "a"}}, ConfigError, "name their folder, too"),
    ],
)
def test_faults_are_one_sentence(labelled, tmp_path, options, error, words):
    given = {"predictions": labelled / "labels", "device": "cpu", **options}
    with pytest.raises(error, match=words):
        judge(labelled / "images", out=tmp_path / "out", **given)


def test_images_in_memory_have_no_stored_labels(labelled, tmp_path):
    with pytest.raises(ConfigError, match="beside images that are files"):
        judge([np.zeros((9, 9, 3), np.uint8)], out=tmp_path, predictions=labelled / "labels")


def with_void(labelled, columns=10):
    """Gives the labels of the second image void columns, and returns its true labels elsewhere."""
    path = labelled / "labels" / "1.png"
    label = np.array(Image.open(path))
    label[:, :columns] = 255
    Image.fromarray(label).save(path)
    return label


@pytest.mark.parametrize("options", [{}, {"classes": {0: "dark", 40: "bright"}}])
def test_void_is_not_judged(labelled, tmp_path, options):
    given = {"predictions": labelled / "labels", "device": "cpu", **options}
    before = judge(labelled / "images", out=tmp_path / "before", **given)
    label = with_void(labelled)
    run = judge(labelled / "images", out=tmp_path / "out", **given)
    assert run.listed.classes == before.listed.classes
    assert run.notes[-1] == "the labels of 1 of 3 images hold void pixels, which are not judged"
    void = label == 255
    stored = np.asarray(Image.open(tmp_path / "out" / "labels" / "1.png"))
    np.testing.assert_array_equal(stored == 255, void)
    error = np.asarray(Image.open(tmp_path / "out" / "error" / "1.png")) / 65535
    assert error[void].max() == 0
    record = run.worst()[0].record
    assert record.wrong == pytest.approx(error[~void].mean(), abs=1e-3)
    assert sum(record.pixels.values()) == (~void).sum()


def test_a_code_called_void_is_not_judged_and_255_may_be_a_class(labelled, tmp_path):
    given = {"predictions": labelled / "labels", "device": "cpu"}
    run = judge(labelled / "images", out=tmp_path / "a", classes={0: "void", 40: "bright"}, **given)
    assert run.notes[-1].startswith("the labels of 3 of 3 images hold void pixels")
    with_void(labelled)
    named = {0: "dark", 40: "bright", 255: "sky"}
    run = judge(labelled / "images", out=tmp_path / "b", classes=named, **given)
    assert run.listed.classes == ("dark", "bright", "sky", "other")
    assert not any("void" in note for note in run.notes)


def test_labels_that_are_void_all_over_are_named(labelled, tmp_path):
    with_void(labelled, WIDTH)
    run = judge(labelled / "images", out=tmp_path / "out", predictions=labelled / "labels", device="cpu")
    assert "the labels of 1.png hold nothing but void" in run.failures["1.png"]


def test_a_trained_judge_leaves_void_out_too(labelled, tmp_path):
    label = with_void(labelled)
    classes = {0: "drivable", 40: "sky"}
    given = {"detector": "street", "predictions": labelled / "labels", "classes": classes, "device": "cpu"}
    run = judge(labelled / "images", out=tmp_path / "out", **given, second_opinions=["street"])
    assert not run.failures
    stored = np.asarray(Image.open(tmp_path / "out" / "labels" / "1.png"))
    np.testing.assert_array_equal(stored == 255, label == 255)
    error = np.asarray(Image.open(tmp_path / "out" / "error" / "1.png"))
    assert error[label == 255].max() == 0
    assert error[label != 255].max() > 0


def test_a_refused_run_leaves_no_folder(labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="holds the code 40"):
        judge("images", detector="street", predictions="labels", device="cpu")
    assert not (tmp_path / "oodseg-results").exists()


def test_names_with_accents_in_either_spelling_and_pictures_of_labels(labelled, tmp_path):
    for number, name in enumerate(("é", "ü", "ñ")):
        other = unicodedata.normalize("NFD" if number else "NFC", name)
        (labelled / "images" / f"{number}.png").rename(labelled / "images" / f"{other}.png")
        path = labelled / "labels" / f"{number}.png"
        path.rename(path.with_name(f"{unicodedata.normalize('NFC', name)}.png"))
    Image.new("RGB", (WIDTH, HEIGHT)).save(labelled / "labels" / "é.jpg")
    run = judge(labelled / "images", out=tmp_path / "out", predictions=labelled / "labels", device="cpu")
    assert not run.failures


def test_labels_in_jpeg_are_said_to_be_that(labelled, tmp_path):
    path = labelled / "labels" / "1.png"
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()
    run = judge(labelled / "images", out=tmp_path / "out", predictions=labelled / "labels", device="cpu")
    assert "1.jpg is a JPEG, whose compression changes codes" in run.failures["1.png"]
