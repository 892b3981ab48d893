import numpy as np
import pytest

from oodseg.synth.surroundings import blobs, cast_shadows, mark_ground, replace_surroundings


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_blobs_cover_about_what_is_asked(share) -> None:
    covered = [(blobs((90, 120), share, 20, np.random.default_rng(seed)) > 0.5).mean() for seed in range(10)]
    assert np.mean(covered) == pytest.approx(share, abs=0.06)


def test_blobs_are_soft_and_in_range(rng) -> None:
    field = blobs((60, 80), 0.5, 25, rng)
    assert field.dtype == np.float32
    assert field.min() == 0
    assert field.max() == 1
    assert ((field > 0.05) & (field < 0.95)).any()


def test_surroundings_are_replaced_there_and_nowhere_else(rng) -> None:
    street = np.full((40, 60, 3), 200, np.uint8)
    nature = np.full((40, 60, 3), 20, np.uint8)
    where = np.zeros((40, 60), bool)
    where[:, :30] = True
    changed = replace_surroundings(street, nature, where, rng)
    assert changed[:, :29].all()
    assert not changed[:, 31:].any()
    # A Gaussian of at most 3 px reaches 12.
    assert (street[:, :18] == 20).all()
    assert (street[:, 42:] == 200).all()


def test_shadows_darken_the_ground_only() -> None:
    ground = np.zeros((60, 80), bool)
    ground[30:] = True
    darkened = 0
    for seed in range(8):
        image = np.full((60, 80, 3), 180, np.uint8)
        cast_shadows(image, ground, np.random.default_rng(seed))
        assert (image[:30] == 180).all()
        assert image.max() == 180
        assert image.min() > 180 * 0.3
        darkened += int((image[30:] < 170).any())
    assert darkened >= 6


def test_markings_lie_on_the_ground_only() -> None:
    ground = np.zeros((60, 80), bool)
    ground[30:] = True
    marked = 0
    for seed in range(12):
        image = np.full((60, 80, 3), 110, np.uint8)
        mark_ground(image, ground, np.random.default_rng(seed))
        assert (image[:30] == 110).all()
        changed = (image[30:] != 110).any(2)
        assert changed.mean() < 0.9
        marked += int(changed.any())
    assert marked >= 10


def test_without_ground_nothing_is_marked(rng) -> None:
    image = np.full((60, 80, 3), 110, np.uint8)
    mark_ground(image, np.zeros((60, 80), bool), rng)
    assert (image == 110).all()
