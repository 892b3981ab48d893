import pytest

from oodseg.core.errors import ConfigError
from oodseg.core.guarantee import RISKS, Guarantee


@pytest.mark.parametrize(
    ("risk", "target", "words"),
    [
        (
            "miss",
            0.1,
            "on average at most 10 % of the anomalous pixels of an image that holds any are missed",
        ),
        ("miss_objects", 0.25, "at most 25 % of the unknown objects"),
        ("false_alarms", 0.5, "at most 0.5 false alarms per image are raised (at most 5 counted)"),
    ],
)
def test_the_promise_names_its_condition(risk, target, words):
    said = Guarantee(risk, target, 0.3, 60, "drives").promise()
    assert words in said
    assert "provided that images are exchangeable with the 60 of the calibration (drives)" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": "boredom"}, "no risk 'boredom'; choose one of: miss, miss_objects, false_alarms"),
        ({"target": 0.0}, "between 0 and 1, not at 0"),
        ({"target": 1.0}, "between 0 and 1, not at 1"),
        ({"least_confidence": 1.5}, "must lie in 0..1, not at 1.5"),
    ],
)
def test_what_makes_no_guarantee(change, message):
    good = {"risk": "miss", "target": 0.1, "least_confidence": 0.3, "images": 60, "data": "drives"}
    assert Guarantee(**good).bound == RISKS["miss"][1]
    with pytest.raises(ConfigError, match=message):
        Guarantee(**{**good, **change})
