import contextlib
import io
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

import oodseg.core.saving
import oodseg.runs
from oodseg.core.errors import ImageError, OodsegError
from oodseg.core.prediction import Prediction

IMAGE = np.full((40, 60, 3), 90, np.uint8)


def predict(name="street.jpg", image=IMAGE):
    masks = np.zeros((1, 40, 60), bool)
    masks[0, 5:15, 10:30] = True
    open_image = None if image is None else partial(np.array, image)
    return Prediction.from_masks(masks, [[10, 5, 30, 15]], [0.5], path=Path(name), open_image=open_image)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def read(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


def test_files_are_those_of_a_run(tmp_path):
    cv2.imwrite(str(tmp_path / "street.png"), IMAGE)
    prediction = predict(str(tmp_path / "street.png"))
    source, settings = tmp_path / "street.png", {"pipeline": "fixed"}
    oodseg.runs.predict(source, lambda image: prediction, tmp_path / "run", settings=settings)
    prediction.save(tmp_path / "saved")
    assert files(tmp_path / "saved") == [
        "confidence/street.png",
        "masks/street.png",
        "overlays/street.jpg",
        "predictions.json",
    ]
    for name in files(tmp_path / "saved")[:3]:
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    saved, ran = (read(tmp_path / folder / "predictions.json") for folder in ("saved", "run"))
    assert saved.dataset["images"] == ran.dataset["images"]
    assert saved.dataset["annotations"] == ran.dataset["annotations"]
    assert saved.dataset["categories"] == ran.dataset["categories"]


def test_values_come_back(tmp_path):
    predict().save(tmp_path)
    mask, confidence = (
        cv2.imread(str(tmp_path / kind / "street.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("masks", "confidence")
    )
    assert (mask[5, 10], mask[4, 10], (mask > 0).sum()) == (255, 0, 200)
    assert (confidence.dtype, confidence[5, 10], confidence[4, 10]) == (np.uint16, 32768, 0)


def test_other_images_stay_and_the_same_is_replaced(tmp_path):
    for name in ("a.jpg", "b.jpg", "a.jpg"):
        target = predict(name).save(tmp_path)
    found = read(target)
    assert sorted(image["file_name"] for image in found.dataset["images"]) == ["a.jpg", "b.jpg"]
    assert len(found.anns) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"images": []}'])
def test_a_file_that_is_no_coco_file_stays(tmp_path, text):
    (tmp_path / "predictions.json").write_text(text)
    with pytest.raises(OodsegError, match="not a COCO file"):
        predict().save(tmp_path)
    assert files(tmp_path) == ["predictions.json"]
    assert (tmp_path / "predictions.json").read_text() == text


def test_a_broken_off_save_leaves_whole_files(tmp_path, monkeypatch):
    predict("a.jpg").save(tmp_path)
    before = (tmp_path / "predictions.json").read_text()

    def full(target, value):
        raise OodsegError("the disk is full")

    monkeypatch.setattr(oodseg.core.saving, "write_json", full)
    with pytest.raises(OodsegError, match="disk is full"):
        predict("b.jpg").save(tmp_path)
    assert (tmp_path / "predictions.json").read_text() == before
    assert not list(tmp_path.rglob("*.part"))


def test_the_folder_of_a_run_is_left_alone(tmp_path):
    image, settings = [("a", IMAGE)], {"pipeline": "fixed"}
    oodseg.runs.predict(image, lambda image: predict(), tmp_path, settings=settings)
    before = (tmp_path / "predictions.json").read_bytes()
    with pytest.raises(OodsegError, match="holds the results of a run"):
        predict().save(tmp_path)
    assert (tmp_path / "predictions.json").read_bytes() == before


def test_without_the_image_nothing_is_written(tmp_path):
    with pytest.raises(ImageError, match="pass the image"):
        predict(image=None).save(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert predict(image=None).save(tmp_path / "out", IMAGE).is_file()
