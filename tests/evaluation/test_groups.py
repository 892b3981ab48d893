import math

import pytest

from oodseg.data import Frame
from oodseg.evaluation.groups import by_group
from oodseg.evaluation.results import ImageRecord


def frame(name, **groups):
    return Frame(name, None, None, {}, groups)


def record(name, value, boxes, alarms, pixels):
    return ImageRecord(name, value, value / 2, value / 4, boxes, alarms, pixels)


def test_means_over_each_kind() -> None:
    frames = [frame("a", sky="rain", n="1"), frame("b", sky="rain", n="0"), frame("c", sky="noon", n="1")]
    records = [record("a", 0.8, 2, 1, 50), record("b", 0.0, 1, 1, 0), record("c", 0.4, 0, 0, 9)]
    found = by_group(frames, records)
    assert list(found) == ["sky", "n"]
    assert list(found["sky"]) == ["rain", "noon"]
    rain = found["sky"]["rain"]
    # The image without anomaly has boxes and false alarms, but no overlap.
    assert (rain.images, rain.boxes, rain.false_alarms) == (2, 1.5, 1.0)
    assert (rain.auiou, rain.iou_threshold_free, rain.mean_f1) == pytest.approx((0.8, 0.4, 0.2))
    assert found["n"]["1"].auiou == pytest.approx(0.6)
    assert math.isnan(found["n"]["0"].auiou)


def test_score_maps_have_no_boxes_and_most_sets_no_kinds() -> None:
    assert by_group([frame("a")], [record("a", 0.5, None, None, 1)]) == {}
    (only,) = by_group([frame("a", sky="noon")], [record("a", 0.5, None, None, 1)])["sky"].values()
    assert math.isnan(only.boxes)
    assert math.isnan(only.false_alarms)
