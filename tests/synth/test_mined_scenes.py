import numpy as np
import pytest
from PIL import Image

from oodseg.core.objects import OodObject
from oodseg.core.taxonomy import IGNORE
from oodseg.data.mined import MinedThing
from oodseg.synth.in_place import in_place
from oodseg.synth.mix import Mix
from oodseg.synth.scenes import SceneSampler
from training_data import make_training_data

SIZE = (64, 96)


def save(folder, colour):
    """An image with one saturated square, and its mask."""
    image, mask = np.full((120, 160, 3), 90, np.uint8), np.zeros((120, 160), np.uint8)
    image[40:80, 50:100], mask[40:80, 50:100] = colour, 255
    for kind, pixels in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(pixels).save(folder / kind / "a.png")
    return str(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def greenness(scene):
    image = scene.image.astype(int)
    return (image[..., 1] - np.maximum(image[..., 0], image[..., 2])) > 60


def sampled(root, count=12, split="train", **mix):
    sampler = SceneSampler(root, SIZE, split, mix=Mix(natural=0, drawn=0, country=0, **mix))
    return [sampler.sample(np.random.default_rng(seed)) for seed in range(count)]


def test_mined_objects_are_pasted_as_unknown(root, tmp_path):
    source = save(tmp_path / "green", (10, 250, 10))
    scenes = sampled(root, empty=0, known=0, faint=0, more_objects=(source,), mined=1.0)
    green = np.concatenate([greenness(scene)[scene.unknown > 0] for scene in scenes])
    assert green.mean() > 0.5
    assert not np.concatenate([greenness(scene)[scene.unknown == 0] for scene in scenes]).mean() > 0.05


def test_rejected_things_are_pasted_as_known(root, tmp_path):
    source = save(tmp_path / "green", (10, 250, 10))
    scenes = sampled(
        root, empty=1, known=1, own_car=0, more_negatives=(source,), mined=1.0, rejected=0.0, pieces=0
    )
    assert not any(scene.unknown.any() for scene in scenes)
    green = np.concatenate([greenness(scene)[scene.known] for scene in scenes])
    assert green.mean() > 0.5
    assert all((scene.labels[scene.known & greenness(scene)] == IGNORE).all() for scene in scenes)


def test_rejected_things_are_shown_where_they_stand(root, tmp_path):
    source = save(tmp_path / "green", (10, 250, 10))
    for scene in sampled(root, more_negatives=(source,), rejected=1.0):
        assert set(np.unique(scene.unknown)) == {0, IGNORE}
        assert (scene.labels == IGNORE).all()
        assert greenness(scene)[scene.unknown == 0].mean() > 0.5
        assert greenness(scene)[scene.unknown == IGNORE].mean() < 0.05


def test_without_mined_things_scenes_stay_what_they_were(root, tmp_path):
    plain = sampled(root, 4)
    again = sampled(root, 4, mined=1.0, rejected=1.0)
    # One image in twenty is for validation, and this is none.
    held_out = sampled(root, 1, "val", more_objects=(save(tmp_path / "green", (10, 250, 10)),), mined=1.0)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(plain, again, strict=True))
    assert np.array_equal(held_out[0].image, sampled(root, 1, "val")[0].image)


@pytest.mark.parametrize("box", [(0, 0, 6, 6), (150, 110, 160, 120), (0, 0, 160, 120), (3, 50, 150, 60)])
def test_windows_around_a_thing_anywhere(tmp_path, box):
    mask = np.zeros((120, 160), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    path = tmp_path / "a.png"
    Image.fromarray(np.full((120, 160, 3), 90, np.uint8)).save(path)
    thing = MinedThing("a.png#1", path, OodObject.from_mask(mask))
    for seed in range(5):
        image, codes = in_place(thing, SIZE, np.random.default_rng(seed))
        assert (image.shape, codes.shape) == ((*SIZE, 3), SIZE)
        assert (codes == 0).any()
