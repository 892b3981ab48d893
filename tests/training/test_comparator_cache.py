import numpy as np
import pytest
import torch

from failure_parts import make_generator, make_segmenter
from oodseg.core.errors import DatasetError
from oodseg.core.taxonomy import CLASSES
from oodseg.training.comparator_cache import build_cache, predict, read_cached
from oodseg.training.comparator_samples import as_sample
from oodseg.training.labelled import load_label_set
from training_data import make_training_data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def test_samples_know_the_true_quality(root) -> None:
    labelled = load_label_set("street", root).train[0]
    found = predict(labelled, make_segmenter(CLASSES).segment, make_generator(len(CLASSES)), (32, 64))
    assert found.probabilities.shape == (32, 64, 7)
    image, made, shares, labels, truth, quality = as_sample(found, dice=False)
    assert image.shape == made.shape == (3, 32, 64)
    for index in range(7):
        one, other = labels == index, (truth == index)
        counts = truth != 255
        union = ((one | other) & counts).sum().item()
        if other.any():
            assert quality[index].item() == pytest.approx((one & other).sum().item() / union)
        else:
            assert quality[index].isnan()
    dice = as_sample(found, dice=True)[5]
    torch.testing.assert_close(dice, 2 * quality / (1 + quality), equal_nan=True)
    assert (shares.float().sum(0) - 255).abs().max() <= 7
    np.testing.assert_array_equal(found.mirrored().image[:, ::-1], found.image)


def test_cache_starts_anew_when_it_must_and_names_damage(root, tmp_path) -> None:
    items = [(each, make_segmenter(CLASSES).segment) for each in load_label_set("street", root).train[:2]]
    make = make_generator(len(CLASSES))
    paths = build_cache(tmp_path, items, make, (32, 64), "one")
    paths[0].write_bytes(b"broken")
    assert build_cache(tmp_path, items, make, (32, 64), "one") == paths
    with pytest.raises(DatasetError, match=r"000000\.npz cannot be read .*delete it"):
        read_cached(paths[0])
    build_cache(tmp_path, items, make, (32, 64), "two")
    assert read_cached(paths[0]).image.shape == (32, 64, 3)
