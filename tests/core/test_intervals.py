import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodseg.core.errors import ConfigError
from oodseg.core.intervals import QualityIntervals, StructureIntervals

GOOD = {
    "level": 0.9, "centre": [0.1, 0.8, -0.2], "spread": [0.05, 0.0, 0.1], "least_spread": 0.01, "bound": 2.0,
    "quality": "IoU", "images": 78, "data": "drives",
}  # fmt: skip


def test_an_interval_reaches_so_many_spreads_from_the_centre():
    low, high = QualityIntervals(**GOOD).around(0.5, 0.1)
    assert (low, high) == pytest.approx((0.48 - 0.12, 0.48 + 0.12))


def test_the_spread_has_a_least_value_and_an_interval_stays_in_its_range():
    fitted = QualityIntervals(**{**GOOD, "spread": [-1, 0, 0]})
    low, high = fitted.around(0.5, 0.0)
    assert high - low == pytest.approx(0.04)
    wide = QualityIntervals(**{**GOOD, "bound": 100.0})
    assert wide.around(0.5, 0.1) == (0.0, 1.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 50))
def test_an_interval_is_one_whatever_the_lines_say(mean, wrong, bound):
    low, high = QualityIntervals(**{**GOOD, "centre": [0.5, 3, -3], "bound": bound}).around(mean, wrong)
    assert 0 <= low <= high <= 1


def test_nothing_estimated_has_no_interval():
    assert QualityIntervals(**GOOD).around(math.nan, 0.1) is None


def test_the_promise_names_its_condition():
    said = QualityIntervals(**GOOD).promise()
    assert "true mean IoU" in said
    assert "probability of 90 %" in said
    assert "exchangeable with the 78 images of the calibration (drives)" in said


@pytest.mark.parametrize(
    "change", [{"level": 1.0}, {"centre": [0.1]}, {"bound": math.inf}, {"bound": -0.1}, {"least_spread": 0.0}]
)
def test_numbers_that_make_no_interval(change):
    with pytest.raises(ConfigError, match="fit them with `oodseg calibrate`"):
        QualityIntervals(**{**GOOD, **change})


def test_intervals_of_structures():
    found = StructureIntervals(0.9, {"liver": 0.2}, 24, "test scans")
    assert found.around("liver", 0.5) == pytest.approx((0.3, 0.7))
    assert found.around("liver", 0.95) == pytest.approx((0.75, 1.0))
    assert found.around("liver", None) is None
    assert found.around("spleen", 0.5) is None
    assert "probability of 90 %" in found.promise()
    assert "exchangeable with the 24 of the calibration (test scans)" in found.promise()


@pytest.mark.parametrize(
    ("level", "reach"), [(0.0, {}), (1.0, {}), (0.9, {"a": -0.1}), (0.9, {"a": float("inf")})]
)
def test_intervals_of_structures_that_make_no_sense(level, reach):
    with pytest.raises(ConfigError, match="reaches of 0 or more"):
        StructureIntervals(level, reach, 9, "")
