import numpy as np

from oodseg.datasets.training import IGNORE
from oodseg.exposure.own_car import own_car


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
