"""The detector sees several images at once; what comes out is what one by one gives."""

import numpy as np
import pytest
import torch
from PIL import Image

from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.input_warnings import InputWarning
from oodseg.core.parts import Sight
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from redness import Redness, make_pipeline, save_street, street


class Counting(Redness):
    def __init__(self):
        super().__init__()
        self.seen = []

    def look(self, images, zoom=1):
        self.seen.append(tuple(images.shape))
        features = images[:, :1, ::8, ::8]
        return Sight(self.score(images), (features,))


@pytest.fixture
def s2m():
    return S2M(Counting(), ComponentPrompts(min_area=20), BoxSegmenter())


IMAGES = [street((10 * i, 20, 10 * i + 30, 50)) for i in range(5)]


def test_batches_find_what_single_images_do(s2m):
    alone = list(s2m.predict(IMAGES))
    s2m.detector.seen.clear()
    found = s2m.predict(IMAGES, batch=2)
    assert len(found) == 5
    for one, other in zip(alone, found, strict=True):
        assert [each.bbox for each in one.objects] == [each.bbox for each in other.objects]
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_array_equal(one.score, other.score)
    assert [shape[0] for shape in s2m.detector.seen] == [2, 2, 1]


def test_images_of_other_sizes_are_looked_at_apart_and_stay_in_order(s2m):
    small = street((5, 5, 30, 30), size=(64, 64))
    found = list(s2m.predict([IMAGES[0], small, IMAGES[1]], batch=3))
    assert [(each.height, each.width) for each in found] == [(96, 128), (64, 64), (96, 128)]
    assert [len(each.objects) for each in found] == [1, 1, 1]
    assert sorted(shape[0] for shape in s2m.detector.seen) == [1, 2]


def test_features_go_with_their_image(s2m):
    sights = s2m.look_at(IMAGES[:2])
    for image, sight in zip(IMAGES, sights, strict=False):
        alone = s2m.look(image)
        assert torch.equal(sight.scores, alone.scores)
        assert torch.equal(sight.features[0], alone.features[0])


def test_one_broken_image_of_a_batch_costs_no_other(s2m, tmp_path):
    good = [save_street(tmp_path / f"{i}.png", (10, 20, 40, 50)) for i in range(3)]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    paths = [good[0], broken, good[1], good[2]]
    found = list(s2m.predict(paths, batch=4, on_error="return"))
    assert [isinstance(each, ImageError) for each in found] == [False, True, False, False]
    assert [each.path for each in found if not isinstance(each, ImageError)] == good
    with pytest.warns(InputWarning, match=r"left out: .*broken\.png"):
        assert len(list(s2m.predict(paths, batch=4, on_error="skip"))) == 3
    with pytest.raises(ImageError, match=r"broken\.png"):
        list(s2m.predict(paths, batch=4))


def test_what_was_mended_and_the_image_itself_stay_with_the_prediction(tmp_path):
    pixels = np.full((48, 64), 40_000, np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    s2m = make_pipeline()
    (alone,), (found,) = s2m.predict([tmp_path / "deep.png"]), s2m.predict([tmp_path / "deep.png"], batch=2)
    assert found.warnings == alone.warnings
    np.testing.assert_array_equal(found.read_image(), alone.read_image())


def test_batches_are_of_images(s2m):
    with pytest.raises(ConfigError, match="at least one image, not 0"):
        s2m.predict(IMAGES, batch=0)
    with pytest.raises(ConfigError, match="frames come one by one"):
        s2m.predict(IMAGES, batch=2, fps=10)


def test_precision_is_an_attribute_that_takes_effect(monkeypatch):
    monkeypatch.setattr("oodseg.core.devices._cpu_has_bfloat16", lambda: True)
    s2m = make_pipeline()
    s2m.precision = "half"
    assert s2m.precision == "half"
    with pytest.raises(ConfigError, match="precision must be one of"):
        s2m.precision = "double"
    monkeypatch.setattr("oodseg.core.devices._cpu_has_bfloat16", lambda: False)
    with pytest.raises(ConfigError, match="slower in half precision"):
        s2m.device = "cpu"


def test_a_device_without_memory_is_said_with_the_image(tmp_path, monkeypatch):
    def full(self, images, zoom=1):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(Redness, "look", full)
    path = save_street(tmp_path / "wide.png", (10, 20, 40, 50))
    with pytest.raises(ImageError, match="does not fit into the memory of cpu"):
        make_pipeline()(path)
    with pytest.raises(ImageError, match="the batch of 2 images does not fit"):
        make_pipeline().look_at(IMAGES[:2])
