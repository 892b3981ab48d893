import pytest

from oodseg.core.errors import cause


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.json"), "No such file or directory"),
        (OSError("device gone"), "device gone"),
        (KeyError("labels"), "no entry 'labels'"),
        (ValueError("first line.\nsecond line"), "first line"),
        (EOFError(), "EOFError"),
    ],
)
def test_causes_are_short(error, words):
    assert cause(error) == words
