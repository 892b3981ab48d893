import numpy as np

from oodseg.datasets.training import IGNORE
from oodseg.exposure.own_car import draw_star, own_car


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


def test_a_star_is_a_ring_with_spokes_and_gaps_between_them() -> None:
    stars = [draw_star(np.random.default_rng(seed)) for seed in range(8)]
    assert len({star.alpha.shape for star in stars}) > 1  # some stand on a stem
    for star in stars:
        height, width = star.alpha.shape
        assert star.image.shape == (height, width, 3)
        assert (star.alpha.min(), star.alpha.max()) == (0, 1)
        assert star.alpha[48, 48] == 1  # where the spokes meet
        assert star.alpha[60:70, 48].max() == 0  # between the lower two
        assert 0.1 < (star.alpha[:96] > 0.5).mean() < 0.6
    again = draw_star(np.random.default_rng(3))
    np.testing.assert_array_equal(again.image, stars[3].image)
