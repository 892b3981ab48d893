import builtins

import numpy as np
import pytest

from oodseg.core.errors import MissingDependencyError
from oodseg.mining import similarity
from oodseg.mining.similarity import ALONE, cluster, duplicates, rarity


def unit(*degrees):
    """Points on a circle."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("degrees", "order", "stands"),
    [
        ([0, 5, 90], [0, 1, 2], [0, 0, 2]),
        ([0, 5, 90], [1, 0, 2], [1, 1, 2]),  # the first in order stands for the other
        ([0, 8, 16], [0, 1, 2], [0, 0, 2]),  # only for what is near itself
        ([0, 8, 16], [1, 0, 2], [1, 1, 1]),
        ([0], [0], [0]),
    ],
)
def test_the_first_stands_for_what_is_near(degrees, order, stands):
    threshold = np.cos(np.deg2rad(10))
    assert duplicates(unit(*degrees), np.array(order), threshold).tolist() == stands


def test_a_threshold_over_one_keeps_all():
    assert duplicates(unit(0, 0), np.arange(2), 1.1).tolist() == [0, 1]


def test_blocks_change_nothing(monkeypatch, rng):
    points = unit(*rng.uniform(0, 360, 25))
    whole = rarity(points), duplicates(points, np.arange(25), 0.99)
    monkeypatch.setattr(similarity, "_BLOCK", 4)
    assert (rarity(points) == whole[0]).all()
    assert (duplicates(points, np.arange(25), 0.99) == whole[1]).all()


def test_the_rarest_is_far_from_all_others():
    values = rarity(unit(0, 1, 2, 3, 4, 5, 6, 90))
    assert values[-1] == 1.0
    assert values[3] == values.min() == 0.0
    assert rarity(unit(0)).tolist() == [1.0]
    assert rarity(unit()).tolist() == []


def test_what_looks_alike_is_a_cluster(rng):
    centres = np.eye(20)[:2]
    points = np.concatenate(
        [
            centres[0] + rng.normal(0, 0.01, (8, 20)),
            centres[1] + rng.normal(0, 0.01, (12, 20)),
            np.eye(20)[[7, 12, 17]],
        ]
    ).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = cluster(points)
    assert found[:8].tolist() == [1] * 8
    assert found[8:20].tolist() == [0] * 12  # the largest is the first
    assert found[20:].tolist() == [ALONE] * 3


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_handful_has_no_clusters(count):
    assert cluster(unit(*[0] * count)).tolist() == [ALONE] * count


def test_identical_objects_are_clustered_without_a_warning(recwarn):
    assert set(cluster(unit(*[0] * 12)).tolist()) <= {ALONE, 0}


def test_a_missing_library_is_one_sentence(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError("no sklearn", name="sklearn")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"install .*\[mining\]"):
        cluster(unit(0, 1))
