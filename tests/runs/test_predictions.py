import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

import oodseg.runs
from oodseg import S2M
from oodseg.core.errors import ConfigError, ImageError, WeightsError
from oodseg.core.input_warnings import InputWarning
from oodseg.core.prediction import Prediction
from oodseg.detectors.logit import LogitDetector
from oodseg.exchange.results import read_results
from redness import HEIGHT, WIDTH, make_pipeline, register, save_pipeline, save_street, street
from run_helpers import BOX, assert_whole, coco_of, count_calls, save_photos, spoil


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path / "photos")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_writes_mask_confidence_overlay_and_coco(red, photos, out):
    run = oodseg.runs.predict(photos, red, out)
    assert (run.images, run.with_objects, run.objects, run.done_before) == (3, 3, 3, 0)
    assert (run.failures, run.warnings, run.notes) == ({}, [], [])
    assert run.coco_path == out / "predictions.json"
    mask = cv2.imread(str(out / "masks" / "2.png"), cv2.IMREAD_UNCHANGED)
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[30:70, 20:60] = True
    assert np.array_equal(mask, truth * np.uint8(255))
    coco = coco_of(out)
    assert [each["file_name"] for each in coco["images"]] == ["1.png", "2.png", "3.png"]
    assert coco["annotations"][0]["bbox"] == [20, 30, 40, 40]
    assert coco["info"]["complete"] is True
    confidence = cv2.imread(str(out / "confidence" / "2.png"), cv2.IMREAD_UNCHANGED)
    assert confidence.dtype == np.uint16
    assert np.allclose(confidence[truth] / 65535, coco["annotations"][0]["score"], atol=1e-4)
    assert not confidence[~truth].any()
    overlay = cv2.imread(str(out / "overlays" / "2.jpg"))
    assert overlay.shape[1] == 5 * WIDTH  # enlarged, so that its labels can be read
    tools = COCO(out / "predictions.json")
    assert np.array_equal(tools.annToMask(tools.loadAnns([1])[0]).astype(bool), truth)
    assert_whole(out)


def test_npy_confidence_without_overlays(red, photos, out):
    oodseg.runs.predict(photos / "1.png", red, out, confidence_format="npy", overlays=None)
    confidence = np.load(out / "confidence" / "1.npy", allow_pickle=False)
    assert confidence.dtype == np.float32
    assert confidence.shape == (HEIGHT, WIDTH)
    assert 0 < confidence.max() <= 1
    assert not (out / "overlays").exists()


@pytest.mark.parametrize("kind", ["folder", "pattern", "paths", "generator"])
def test_files_may_come_as(red, photos, out, kind):
    source = {
        "folder": photos,
        "pattern": str(photos / "*.png"),
        "paths": [photos / "2.png", str(photos / "1.png"), photos / "3.png"],
        "generator": photos.glob("*.png"),
    }[kind]
    assert oodseg.runs.predict(source, red, out).images == 3
    assert [each["file_name"] for each in coco_of(out)["images"]] == ["1.png", "2.png", "3.png"]


def test_images_in_memory_are_taken_as_they_come(red, out):
    taken = []

    def camera():
        for number in range(3):
            taken.append(number)
            assert len(list(out.glob("masks/*"))) == number, "the one before is written already"
            yield street(BOX)

    run = oodseg.runs.predict(camera(), red, out)
    assert (run.images, run.objects, len(taken)) == (3, 3, 3)
    assert sorted(path.name for path in (out / "masks").iterdir()) == [
        "000000.png", "000001.png", "000002.png",
    ]  # fmt: skip
    assert coco_of(out)["info"]["complete"] is True


def test_images_in_memory_may_have_names_and_are_done_once(red, out, monkeypatch):
    images = [("bern/a", street(BOX)), ("ulm/a", Image.fromarray(street()))]
    assert oodseg.runs.predict(images, red, out).objects == 1
    assert (out / "masks" / "bern" / "a.png").is_file()
    calls = count_calls(monkeypatch)
    assert oodseg.runs.predict(images, red, out).done_before == 2
    images[1] = ("ulm/a", street((0, 0, 30, 30)))
    with pytest.raises(ConfigError, match="another image called 'ulm/a'"):
        oodseg.runs.predict(images, red, out)
    assert oodseg.runs.predict(images, red, out, fresh=True).objects == 2
    assert len(calls) == 2


def test_images_of_opencv_in_memory(red, out):
    swapped = street(BOX)[:, :, ::-1]
    assert oodseg.runs.predict([swapped], red, out).objects == 0
    assert oodseg.runs.predict([swapped], red, out / "2", channels="bgr").objects == 1


def test_an_image_in_memory_that_cannot_be_used_is_named(red, out):
    run = oodseg.runs.predict([street(BOX), np.zeros((9, 9), np.float32)], red, out)
    assert list(run.failures) == ["000001"]
    assert "float32" in run.failures["000001"]
    assert run.objects == 1


@pytest.mark.parametrize("how", ["zero bytes", "text", "truncated", "1x1", "20000x20000", "dangling link"])
def test_broken_image_is_named_and_the_rest_goes_on(red, photos, out, how):
    broken = photos / "2b.jpg"
    word = spoil(broken, how)
    run = oodseg.runs.predict(photos, red, out)
    assert list(run.failures) == ["2b.jpg"]
    assert str(broken) in run.failures["2b.jpg"]
    assert word in run.failures["2b.jpg"]
    coco = coco_of(out)
    assert len(coco["images"]) == 3
    assert [each["file_name"] for each in coco["info"]["failures"]] == ["2b.jpg"]
    assert coco["info"]["complete"] is False
    assert not list(out.rglob("2b*"))
    assert_whole(out)


def test_nothing_is_written_before_everything_is_there(red, photos, out):
    with pytest.raises(ImageError, match="does not exist"):
        oodseg.runs.predict(photos / "missing.jpg", red, out)
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        oodseg.runs.predict(photos, "nowhere", out)
    with pytest.raises(ConfigError, match="choose one of"):
        oodseg.runs.predict(photos, red, out, masks="nonsense")
    assert not out.exists()


def test_a_pipeline_in_memory_runs_and_is_told_from_others(photos, out, monkeypatch):
    s2m = make_pipeline()
    assert oodseg.runs.predict(photos, s2m, out).objects == 3
    assert oodseg.runs.predict(photos, make_pipeline(), out).done_before == 3
    s2m.detector.gain.data += 0.5
    with pytest.raises(ConfigError, match="another detector"):
        oodseg.runs.predict(photos, s2m, out)
    assert oodseg.runs.predict(photos, s2m, out, fresh=True).done_before == 0
    s2m.ignore = np.zeros((HEIGHT, WIDTH), bool)
    with pytest.raises(ConfigError, match="another ignore"):
        oodseg.runs.predict(photos, s2m, out)
    with pytest.raises(ConfigError, match=r"put them into S2M"):
        oodseg.runs.predict(photos, s2m, out, masks="box")


def test_any_callable_runs_once_it_has_a_name(photos, out):
    def perfect(image):
        mask = (image[:, :, 0] > 200)[None]
        return Prediction.from_masks(mask, [[20.0, 30.0, 60.0, 70.0]], [0.9])

    with pytest.raises(ConfigError, match="settings="):
        oodseg.runs.predict(photos, perfect, out)
    assert oodseg.runs.predict(photos, perfect, out, settings={"pipeline": "perfect"}).objects == 3
    assert coco_of(out)["info"]["settings"]["pipeline"] == "perfect"
    assert oodseg.runs.predict(photos, perfect, out, settings={"pipeline": "perfect"}).done_before == 3


def test_ignores_what_a_mask_covers(red, photos, out, tmp_path):
    covered = np.zeros((HEIGHT, WIDTH), bool)
    for columns, found in ((0, 3), (45, 3), (80, 0)):
        covered[:, :columns] = True
        oodseg.runs.predict(photos, red, out, ignore=covered, fresh=True)
        objects = coco_of(out)["annotations"]
        assert len(objects) == found
        assert all(each["bbox"][0] >= columns for each in objects)
    path = tmp_path / "own_car.png"
    cv2.imwrite(str(path), covered * np.uint8(255))
    assert oodseg.runs.predict(photos, red, out, ignore=path).done_before == 3, "the same mask as a file"


def test_an_unfitted_detector_is_fitted_first_on_the_images(photos, out):
    """What `LogitDetector` learns decides; without it, mean 0 and deviation 1 would stand there."""
    run = oodseg.runs.predict(photos, "street", out, detector="street+energy")
    assert "fitted on 3 of these images" in run.notes[0]
    settings = coco_of(out)["info"]["settings"]
    by_hand = S2M.from_pretrained("street", detector="street+energy")
    assert isinstance(by_hand.detector, LogitDetector)
    found = oodseg.runs.fit(photos, by_hand)
    assert settings["fitted"] == pytest.approx([found.mean, found.std])
    assert settings["fitted"] != [0.0, 1.0]


def test_nothing_found_with_a_detector_of_ones_own_is_explained(out):
    grey = [street(), street()]
    words = r"scores rise at most [\d.]+ standard .*usually reach 5, so see whether .*and fit the detector"
    with pytest.warns(InputWarning, match=f"nothing was found, and the {words}"):
        assert oodseg.runs.predict(grey, "street", out, detector="street+energy").objects == 0


def test_nothing_found_with_a_folder_is_explained_but_once(photos, out, tmp_path, monkeypatch):
    register(monkeypatch)
    folder = save_pipeline(tmp_path / "mine")
    for path in photos.iterdir():
        save_street(path)
    with pytest.warns(InputWarning, match=r"nothing was found.*\(--save-scores png\)$") as warned:
        assert oodseg.runs.predict(photos, folder, out).objects == 0
    assert len(warned) == 1


def test_nothing_found_by_what_ships_is_no_news(out, recwarn):
    assert oodseg.runs.predict(street(), "street", out).objects == 0
    assert not [each for each in recwarn if each.category is InputWarning]


def test_an_unfitted_detector_cannot_learn_from_what_comes_one_by_one(out):
    with pytest.raises(ConfigError, match=r"oodseg\.runs\.fit"):
        oodseg.runs.predict(iter([street(BOX)]), "street", out, detector="street+energy")


def test_progress_is_told_after_every_image(red, photos, out):
    told = []
    oodseg.runs.predict(photos, red, out, progress=lambda *facts: told.append(facts))
    assert told == [("predicting", 1, 3), ("predicting", 2, 3), ("predicting", 3, 3)]


def test_names_of_several_folders(red, tmp_path, out):
    for town in ("bern", "ulm"):
        save_street(tmp_path / "photos" / town / "1.png", BOX)
    oodseg.runs.predict(tmp_path / "photos", red, out)
    assert [each["file_name"] for each in coco_of(out)["images"]] == ["bern/1.png", "ulm/1.png"]
    assert json.loads((out / "records" / "ulm" / "1.json").read_text())["record"]["height"] == HEIGHT


def test_another_operating_point_is_another_run(photos, out):
    quiet = oodseg.runs.predict(photos, "street", out, masks="box")
    again = oodseg.runs.predict(photos, "street", out, masks="box")
    with pytest.raises(ConfigError, match="operating_point was quiet, is thorough"):
        oodseg.runs.predict(photos, "street", out, masks="box", operating_point="thorough")
    thorough = oodseg.runs.predict(photos, "street", out / "2", masks="box", operating_point="thorough")
    assert (quiet.done_before, again.done_before, thorough.done_before) == (0, 3, 0)
    assert thorough.objects >= quiet.objects


def test_fewer_images_take_nothing_away(red, photos, out):
    oodseg.runs.predict(photos, red, out)
    before = coco_of(out)
    run = oodseg.runs.predict(photos / "2.png", red, out)
    assert (run.images, run.done_before, run.objects) == (1, 1, 1)
    assert coco_of(out) == before


def test_images_keep_their_numbers_as_others_join(red, photos, tmp_path, out):
    """Annotations of an image are found again after a run that adds to the folder."""
    oodseg.runs.predict([photos / "2.png", photos / "3.png"], red, out)
    oodseg.runs.predict(photos, red, out)
    save_street(tmp_path / "more" / "0.png", BOX)
    oodseg.runs.predict(tmp_path / "more", red, out)
    coco = coco_of(out)
    numbers = {each["file_name"]: each["id"] for each in coco["images"]}
    assert numbers == {"2.png": 1, "3.png": 2, "1.png": 3, "0.png": 4}
    assert sorted(each["image_id"] for each in coco["annotations"]) == [1, 2, 3, 4]
    assert [each["id"] for each in coco["annotations"]] == [1, 2, 3, 4]
    assert coco["info"]["images"] is None, "there are two folders"
    assert [each["folder"] for each in coco["images"]] == [str(photos)] * 3 + [str(tmp_path / "more")]
    found = read_results(out)
    assert [each.path for each in found[2:]] == [photos / "1.png", tmp_path / "more" / "0.png"]


def test_other_images_of_the_same_names_are_refused(red, photos, tmp_path, out):
    oodseg.runs.predict(photos, red, out)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    with pytest.raises(ConfigError, match="would replace: choose another folder"):
        oodseg.runs.predict(save_photos(tmp_path / "other", 1), red, out)
    with pytest.raises(ConfigError, match="masks was none, is grabcut"):
        oodseg.runs.predict(photos, red, out, masks="grabcut")
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_runs_are_numbered_where_no_folder_is_named(red, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = oodseg.runs.predict(photos, red)
    second = oodseg.runs.predict(photos, red, masks="grabcut")
    third = oodseg.runs.predict(save_photos(tmp_path / "other", 1), red)
    names = [str(run.coco_path) for run in (first, second, third)]
    folder = "oodseg-results"
    assert names == [f"{folder}/{number}predictions.json" for number in ("", "2/", "3/")]
    assert [len(run.notes) for run in (first, second, third)] == [0, 1, 1]
    assert oodseg.runs.predict(photos, red, masks="grabcut").coco_path == second.coco_path
    with pytest.warns(InputWarning, match="passed over: 3 folders of results"):
        here = oodseg.runs.predict(".", red, "all")
    assert (here.images, here.failures) == (4, {}), "not the results of the other runs"


def test_images_beside_and_below_the_results_are_found(red, photos, tmp_path, out):
    """Whether the folder of results lies above the images, in them, or is theirs."""
    save_street(photos / "town" / "4.png", BOX)
    for number, folder in enumerate((tmp_path, photos, photos / "town")):
        run = oodseg.runs.predict(photos, red, folder, settings={"pipeline": "red", "run": number})
        assert (run.images, run.objects) == (4, 4)
        again = oodseg.runs.predict(photos, red, folder, settings={"pipeline": "red", "run": number})
        assert (again.images, again.done_before) == (4, 4)


def test_a_model_that_has_changed_is_noticed(photos, out, tmp_path):
    """It is named and not copied: nothing but its file tells."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    def save(value):
        weights = helper.make_tensor("w", TensorProto.FLOAT, (2, 3, 1, 1), [value] * 6)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["image", "w"], ["logits"])],
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ("b", 3, "h", "w"))],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("b", 2, "h", "w"))],
            [weights],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "net.onnx")

    save(0.5)
    options = {"detector": f"onnx:{tmp_path / 'net.onnx'}+energy", "prompts": "components", "masks": "box"}
    oodseg.runs.predict(photos, "street", out, **options)
    assert oodseg.runs.predict(photos, "street", out, **options).done_before == 3
    save(0.25)
    with pytest.raises(ConfigError, match=r"the model .*net\.onnx has changed"):
        oodseg.runs.predict(photos, "street", out, **options)


def test_limits_reach_the_pipeline_and_are_settings(red, photos, out):
    assert oodseg.runs.predict(photos, red, out, min_area=1601).objects == 0
    with pytest.raises(ConfigError, match="limits min_area was 1601, is none"):
        oodseg.runs.predict(photos, red, out)
    assert oodseg.runs.predict(photos, red, out / "2", min_area=1600, max_objects=1).objects == 3
    assert oodseg.runs.predict(photos, red, out / "3", min_confidence=1.0).objects == 0
    s2m = make_pipeline()
    with pytest.raises(ConfigError, match="limits and what to ignore"):
        oodseg.runs.predict(photos, s2m, out / "4", max_objects=1)
    s2m.min_area = 1601
    assert oodseg.runs.predict(photos, s2m, out / "4").objects == 0
