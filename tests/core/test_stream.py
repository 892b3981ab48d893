import operator

import pytest

from oodseg.core.errors import ConfigError, ImageError, ScoreMapError
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.stream import Stream, results_of

FAULTS = {
    "broken": ImageError("b.jpg is empty"),
    "odd": ScoreMapError("b.npy is odd"),
    "bug": ZeroDivisionError(),
}


def process(image):
    if image in FAULTS:
        raise FAULTS[image]
    return image.upper()


def test_the_length_is_known_and_stays():
    stream = Stream(iter("abc"), 3)
    assert len(stream) == 3
    assert next(stream) == "a"
    assert (len(stream), list(stream)) == (3, ["b", "c"])


def test_what_comes_one_by_one_has_no_length():
    stream = Stream(iter("abc"), None)
    with pytest.raises(TypeError, match="one by one"):
        len(stream)
    assert operator.length_hint(stream, -1) == -1
    assert bool(stream)
    assert list(stream) == ["a", "b", "c"]


@pytest.mark.parametrize("fault", ["broken", "odd"])
def test_an_image_that_cannot_be_used(fault):
    images = ["a", fault, "c"]
    made = results_of(images, process, "raise")
    assert next(made) == "A"
    with pytest.raises(type(FAULTS[fault])):
        next(made)
    with collect_warnings(forward=False) as warned:
        assert list(results_of(images, process, "skip")) == ["A", "C"]
    assert warned == [f"left out: {FAULTS[fault]}"]
    assert list(results_of(images, process, "return")) == ["A", FAULTS[fault], "C"]


@pytest.mark.parametrize("on_error", ["raise", "skip", "return"])
def test_bugs_are_not_hidden(on_error):
    with pytest.raises(ZeroDivisionError):
        list(results_of(["a", "bug"], process, on_error))


def test_an_unknown_way_is_said_at_once():
    with pytest.raises(ConfigError, match="on_error must be one of raise, skip, return, not 'ignore'"):
        results_of([], process, "ignore")
