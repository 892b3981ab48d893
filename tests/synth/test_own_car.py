import numpy as np

from oodseg.core.taxonomy import IGNORE
from oodseg.synth.own_car import draw_star, own_car


def test_the_cameras_own_car_is_cut_out_whole() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    labels = np.zeros((100, 200), np.uint8)
    labels[90:], image[90:] = IGNORE, 80  # the bonnet
    labels[70:90, 96:104], image[70:90, 96:104] = IGNORE, 200  # what stands on it
    labels[65:80, 20:40] = IGNORE  # something unlabelled on the road, apart from it
    car = own_car(image, labels)
    assert car.alpha.shape == (15, 100)
    assert (car.alpha[10:] == 1).all()
    assert car.alpha[5, 50] == 1
    assert car.alpha[:9, :45].max() == 0
    assert own_car(image, np.zeros_like(labels)) is None


def test_a_star_is_a_ring_with_three_spokes_on_a_stem() -> None:
    for seed in range(5):
        star = draw_star(np.random.default_rng(seed))
        height, width = star.alpha.shape
        assert star.image.shape == (height, width, 3)
        assert 0 <= star.alpha.min() < 0.01 < 0.99 < star.alpha.max() <= 1
        inside = star.alpha > 0.5
        middle, row = width // 2, int(0.42 * height)
        assert inside[row, middle]  # where the spokes meet
        assert inside[-3:, middle].all()  # the stem
        assert not inside[:2].all()
        assert not inside[-3:, : middle // 2].any()
        # Ring, gap, ring: across, above where the lower spokes begin.
        across = inside[int(0.36 * height)]
        edges = np.flatnonzero(np.diff(across.astype(int)) == 1)
        assert len(edges) == 3
        assert 0.03 < inside.mean() < 0.45


def test_stars_differ_and_their_generator_decides() -> None:
    first, again, other = (draw_star(np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()
