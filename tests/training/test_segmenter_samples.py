import numpy as np
import pytest
import torch

from oodseg.core.taxonomy import IGNORE
from oodseg.synth.mix import Mix
from oodseg.synth.scenes import Scene, SceneSampler
from oodseg.training.segmenter_samples import BatchMaker, SceneMaker, pixel_weights
from training_data import make_training_data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(("side", "weight"), [(60, 1), (30, 1), (15, 2), (5, 4)])
def test_small_objects_count_more(side, weight) -> None:
    unknown = np.zeros((64, 64), np.uint8)
    unknown[:side, :side] = 1
    unknown[63] = IGNORE
    blank = np.zeros((64, 64, 3), np.uint8)
    weights = pixel_weights(Scene(blank, unknown, unknown, "street", unknown == 1))
    assert weights[0, 0] == pytest.approx(weight)
    assert weights[62, 63] == 1
    assert weights[63, 0] == 0
    assert pixel_weights(Scene(blank, unknown, unknown, "natural", unknown == 1))[62, 63] == 0.75


def test_samples_depend_on_seed_and_number_alone(root) -> None:
    sampler = SceneSampler(root, (64, 96))
    first, second = SceneMaker(sampler, 5)(17), SceneMaker(sampler, 5)(17)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], SceneMaker(sampler, 6)(17)[0])
    assert [tuple(each.shape) for each in first] == [(3, 64, 96), (64, 96), (64, 96), (64, 96)]


def test_sizes_take_turns_in_batches_of_like_area(root) -> None:
    sizes = [(64, 96), (128, 96), (64, 480), (64, 64)]
    make = BatchMaker(root, sizes, 6, "train", (0, 3), Mix())
    for number in range(8):
        images, labels, unknown, weights = make(number)
        height, width = sizes[number % 4]
        count = (6, 3, 2, 9)[number % 4]  # never fewer than two: batch norm needs them
        assert images.shape == (count, 3, height, width)
        assert labels.shape == unknown.shape == weights.shape == (count, height, width)
    assert all(torch.equal(a, b) for a, b in zip(make(5), make(5), strict=True))


def test_batches_share_no_scene(root) -> None:
    make = BatchMaker(root, [(64, 96), (64, 64)], 2, "train", (0, 3), Mix())
    numbers = [[], []]
    for maker, asked in zip(make.makers, numbers, strict=True):
        maker_call = maker.__class__.__call__

        def remembers(self, number, asked=asked, call=maker_call):
            asked.append(number)
            return call(self, number)

        maker.__class__ = type("Remembering", (maker.__class__,), {"__call__": remembers})
    for number in range(6):
        make(number)
    asked = numbers[0] + numbers[1]
    assert len(asked) == len(set(asked)) == 3 * (2 + 3)
