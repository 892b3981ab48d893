import builtins

import numpy as np
import pytest

from oodseg.core.errors import MissingDependencyError
from oodseg.tracking.association import LEAST, assign, similarities
from oodseg.tracking.shapes import Shape


def shape(*box):
    return Shape(np.array(box, float), np.ones((2, 2), bool))


def test_similarities_are_means_of_two_overlaps():
    values = similarities(
        [shape(0, 0, 10, 10)], [shape(0, 0, 10, 10), shape(10, 0, 20, 10), shape(90, 0, 99, 9)]
    )
    # Side by side only the boxes grown by half share anything: 10 of 30 columns.
    assert values == pytest.approx(np.array([[1, 1 / 6, 0]]), abs=0.01)


def test_nothing_is_compared_with_nothing():
    assert similarities([], [shape(0, 0, 1, 1)]).shape == (0, 1)
    assert assign(np.zeros((0, 1))) == []
    assert assign(np.zeros((3, 0))) == []


@pytest.mark.parametrize(
    ("similarity", "pairs"),
    [
        ([[0.9, 0.8], [0.8, 0.1]], [(0, 1), (1, 0)]),  # the best for all, not for the first
        ([[0.9, 0.0], [0.8, 0.0]], [(0, 0)]),
        ([[LEAST - 0.01]], []),
        # What is never the same does not keep others apart.
        ([[0.3, LEAST - 0.01], [LEAST - 0.01, 0.0]], [(0, 0)]),
    ],
)
def test_assignments(similarity, pairs):
    assert assign(np.array(similarity)) == pairs


def test_without_scipy_a_sentence_names_the_extra(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ModuleNotFoundError("no scipy", name="scipy")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"install .*\[video\]"):
        assign(np.ones((1, 1)))
