import numpy as np
import pytest

from oodseg.core.errors import ConfigError
from oodseg.core.taxonomy import CAMVID_CLASSES, CLASSES, IGNORE
from oodseg.training.labelled import fixed_view, load_label_set, random_light, random_view
from training_data import make_training_data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def test_street_is_camvid_and_idd_in_seven_classes(root) -> None:
    found = load_label_set("street", root)
    assert found.classes == CLASSES
    assert {each.source for each in found.train} == {"camvid", "idd_lite"}
    assert {each.source for each in found.test} == {"camvid"}
    assert set(np.unique(found.test[0].read()[1])) == {0, 3, 5, 6, IGNORE}


def test_camvid_keeps_its_own_classes(root) -> None:
    found = load_label_set("camvid", root)
    assert found.classes == CAMVID_CLASSES
    assert (len(found.train), len(found.val), len(found.test)) == (3, 3, 3)
    assert set(np.unique(found.train[0].read()[1])) == {0, 1, 3, 8, IGNORE}


def test_classes_that_are_held_out_are_nobodys(root) -> None:
    whole, part = load_label_set("camvid", root), load_label_set("camvid", root, ["building", "car"])
    assert part.classes == tuple(each for each in CAMVID_CLASSES if each not in {"building", "car"})
    before, after = whole.val[0].read()[1], part.val[0].read()[1]
    assert (after[np.isin(before, [1, 8, IGNORE])] == IGNORE).all()
    for code in (0, 3):
        name = CAMVID_CLASSES[code]
        assert (after[before == code] == part.classes.index(name)).all()


def test_errors(root) -> None:
    with pytest.raises(ConfigError, match="'cow' is not a class of camvid"):
        load_label_set("camvid", root, ["cow"])
    with pytest.raises(ConfigError, match="no 'mars' among the label_sets"):
        load_label_set("mars", root)


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.5, 0.6), (1.5, 2.0)])
def test_random_views_have_the_size_and_stay_aligned(rng, zoom) -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 1
    image = np.repeat(labels[..., None] * 200, 3, 2)
    for _ in range(5):
        view, codes = random_view(image, labels, (24, 48), rng, zoom)
        assert view.shape == (24, 48, 3)
        assert codes.shape == (24, 48)
        known = codes != IGNORE
        assert known.all() == (zoom[0] >= 1)
        assert ((view[..., 0] > 100) == (codes == 1))[known].mean() > 0.95


def test_light_changes_the_image_alone(rng) -> None:
    image = rng.integers(50, 200, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(random_light(image, rng, 0.0), image)
    assert (random_light(image, rng, 0.3) != image).mean() > 0.5


@pytest.mark.parametrize("channels", [None, 3, 11])
def test_fixed_views_take_the_middle(channels) -> None:
    values = np.zeros((40, 100), np.uint8)
    values[:, 30:70] = 200
    maps = values if channels is None else np.repeat(values[..., None], channels, 2)
    found = fixed_view(maps, (20, 20), nearest=channels is None)
    assert found.shape == (20, 20) if channels is None else (20, 20, channels)
    assert (found == 200).all()
