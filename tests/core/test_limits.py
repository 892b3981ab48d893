import numpy as np
import pytest

from oodseg.core.errors import ConfigError
from oodseg.core.guarantee import CALIBRATED, Guarantee
from oodseg.core.limits import Limits
from oodseg.core.objects import encode_objects
from redness import make_pipeline, street

# Three red rectangles; the reddest is the smallest one.
BOXES = [(10, 10, 50, 50), (60, 10, 100, 40), (60, 60, 80, 80)]
AREAS = [1600, 1200, 400]


def scene():
    image = street(*BOXES)
    for (x0, y0, x1, y1), red in zip(BOXES, (160, 200, 250), strict=True):
        image[y0:y1, x0:x1, 0] = red
    return image


def areas(s2m):
    return [found.area for found in s2m(scene()).objects]


def test_without_limits_all_are_given_out():
    s2m = make_pipeline()
    assert areas(s2m) == AREAS[::-1]
    assert s2m.limits == {}


def test_setting_a_limit_takes_effect():
    s2m = make_pipeline()
    s2m.min_area = 500
    assert areas(s2m) == [1200, 1600]
    s2m.max_objects = 1
    assert areas(s2m) == [1200]
    s2m.min_area = 0
    assert areas(s2m) == [400]
    s2m.max_objects = None
    confidence = [found.confidence for found in s2m(scene()).objects]
    s2m.min_confidence = (confidence[0] + confidence[1]) / 2
    assert areas(s2m) == [400]
    s2m.min_confidence = None
    assert len(areas(s2m)) == 3


def test_the_most_confident_stay():
    masks = np.zeros((3, 8, 8), bool)
    masks[0, :1], masks[1, :3], masks[2, :4] = True, True, True
    objects = encode_objects(masks, np.zeros((3, 4)), [0.9, 0.8, 0.7])
    kept = Limits(min_area=9, max_objects=1).within_limits(objects)
    assert [found.confidence for found in kept] == [0.8]


def test_a_least_confidence_stands_in_place_of_the_operating_point():
    s2m = make_pipeline()
    s2m.operating_point = "thorough"
    assert s2m.readiness == "thorough"
    s2m.min_confidence = 0
    assert s2m.readiness == 0.0
    assert s2m.operating_point == "thorough"


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_confidence", -0.1), ("min_confidence", 1.5), ("min_area", -1), ("max_objects", 0)],
)
def test_limits_out_of_range(name, value):
    with pytest.raises(ConfigError, match=name):
        Limits(**{name: value})
    s2m = make_pipeline()
    with pytest.raises(ConfigError, match=name):
        setattr(s2m, name, value)


def test_nothing_is_promised_of_a_part_of_the_boxes():
    s2m = make_pipeline()
    s2m.guarantee, s2m.operating_point = Guarantee("miss", 0.1, 0.5, 60, "drives"), CALIBRATED
    assert s2m.promise
    s2m.max_objects = 3
    assert s2m.promise is None
