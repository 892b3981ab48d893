import cv2
import numpy as np
import pytest

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.data import open_dataset
from oodseg.evaluation.risk_control import control_risk
from redness import HEIGHT, WIDTH, make_pipeline, street

BOX = (20, 30, 60, 70)


def save(folder, number, image, label):
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{number}.png"), image[..., ::-1])
    cv2.imwrite(str(folder / "labels" / f"{number}.png"), label)


def dataset(folder, count, seed=0, false=False):
    """Pale to bright red objects, whose boxes are the surer the brighter; with `false`, none is anomalous."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        image, label = street(), np.zeros((HEIGHT, WIDTH), np.uint8)
        x0, y0, x1, y1 = BOX
        image[y0:y1, x0:x1] = (90 + int(rng.integers(85, 165)), 90, 90)
        label[y0:y1, x0:x1] = 0 if false else 1
        save(folder, number, image, label)
    return open_dataset(folder)


def missed(s2m, data):
    shares = [1 - s2m(frame.image_path).mask[frame.label == 1].mean() for frame in data.frames]
    return float(np.mean(shares))


def test_new_images_miss_no_more_than_promised(tmp_path):
    s2m = make_pipeline()
    found = control_risk(s2m, dataset(tmp_path / "old", 60), "miss", 0.3)
    assert (found.risk, found.target, found.images, found.data) == ("miss", 0.3, 60, "old")
    assert 0 < found.least_confidence < 1
    assert s2m.operating_point == "calibrated"
    assert "at most 30 %" in s2m.promise
    share = missed(s2m, dataset(tmp_path / "new", 60, seed=1))
    assert 0.15 < share < 0.4
    s2m.operating_point = "quiet"
    assert missed(s2m, dataset(tmp_path / "new", 60, seed=1)) == 0
    assert s2m.promise is None


def test_a_stricter_target_keeps_more_boxes(tmp_path):
    data = dataset(tmp_path / "old", 40)
    strict, loose = (control_risk(make_pipeline(), data, "miss_objects", each) for each in (0.1, 0.5))
    assert strict.least_confidence < loose.least_confidence


def test_false_alarms_are_kept_by_the_lowest_threshold(tmp_path):
    data = dataset(tmp_path / "old", 60, false=True)
    few, many = (control_risk(make_pipeline(), data, "false_alarms", each) for each in (0.2, 0.6))
    assert few.least_confidence > many.least_confidence
    s2m = make_pipeline()
    s2m.operating_point = many.least_confidence
    alarms = [len(s2m(frame.image_path).objects) for frame in dataset(tmp_path / "new", 60, 1, True).frames]
    assert 0.3 < np.mean(alarms) < 0.8


def test_a_target_out_of_reach_names_one_within(tmp_path):
    for number in range(20):
        image, label = street(BOX), np.zeros((HEIGHT, WIDTH), np.uint8)
        label[40:60, 30:100] = 1  # only a part of which is red
        save(tmp_path / "half", number, image, label)
    s2m = make_pipeline()
    with pytest.raises(
        ConfigError, match=r"no threshold keeps miss at 0\.1.*loses 0\.57 an image: ask for miss=0\.6"
    ):
        control_risk(s2m, open_dataset(tmp_path / "half"), "miss", 0.1)
    assert s2m.operating_point == "quiet"
    assert control_risk(s2m, open_dataset(tmp_path / "half"), "miss", 0.6).target == 0.6
    with pytest.raises(ConfigError, match=r"20 images are too few to promise miss=0\.04: give at least 24"):
        control_risk(s2m, open_dataset(tmp_path / "half"), "miss", 0.04)


def test_nothing_to_miss(tmp_path):
    with pytest.raises(DatasetError, match="no labelled image in which miss can be measured"):
        control_risk(make_pipeline(), dataset(tmp_path / "calm", 3, false=True), "miss", 0.5)


def test_a_label_of_another_size_is_named(tmp_path):
    save(tmp_path / "odd", 1, street(BOX), np.ones((HEIGHT, WIDTH - 1), np.uint8))
    with pytest.raises(DatasetError, match=r"1\.png is not of the size of its image"):
        control_risk(make_pipeline(), open_dataset(tmp_path / "odd"), "miss", 0.5)
