import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from oodseg.core.errors import ImageError
from oodseg.core.prediction import Prediction

MASKS = st.tuples(st.integers(0, 5), st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays.arrays(bool, shape)
)
CONFIDENCES = st.floats(0, 1, width=32)


@st.composite
def scenes(draw):
    masks = draw(MASKS)
    confidence = draw(st.lists(CONFIDENCES, min_size=len(masks), max_size=len(masks)))
    return masks, np.zeros((len(masks), 4)), np.array(confidence)


@given(scenes())
@settings(deadline=None)
def test_lowest_confidence_wins_where_masks_overlap(scene):
    masks, boxes, confidence = scene
    found = Prediction.from_masks(masks, boxes, confidence)
    expected = np.zeros(masks.shape[1:], np.float32)
    for row in range(expected.shape[0]):
        for column in range(expected.shape[1]):
            over = confidence[masks[:, row, column]]
            expected[row, column] = over.min() if over.size else 0
    assert np.array_equal(found.confidence, expected)
    assert found.confidence.dtype == np.float32
    assert np.array_equal(found.mask, masks.any(axis=0))


@given(scenes())
@settings(deadline=None)
def test_objects_are_sorted_and_never_empty(scene):
    masks, boxes, confidence = scene
    found = Prediction.from_masks(masks, boxes, confidence).objects
    values = [each.confidence for each in found]
    assert values == sorted(values, reverse=True)
    assert len(found) == masks.any(axis=(1, 2)).sum()
    assert all(each.area == each.mask.sum() > 0 for each in found)


def test_a_confidence_of_zero_is_an_object_all_the_same():
    mask = np.zeros((1, 6, 6), bool)
    mask[0, 2:4, 2:4] = True
    found = Prediction.from_masks(mask, [[2, 2, 4, 4]], [0.0])
    assert np.array_equal(found.mask, mask[0])
    assert not found.confidence.any()


def test_nothing_found():
    found = Prediction.from_masks(np.zeros((0, 5, 7), bool), np.zeros((0, 4)), [])
    assert (found.height, found.width) == (5, 7)
    assert found.mask.shape == found.confidence.shape == (5, 7)
    assert not found.mask.any()
    assert found.to_coco(1) == []


SHAPE = (40, 60)


def predict(image=None, path=None):
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, 5:15, 10:30] = True
    masks[1, 20:24, 40:44] = True
    open_image = None if image is None else partial(np.array, image)
    boxes = [[10, 5, 30, 15], [40, 20, 44, 24]]
    return Prediction.from_masks(masks, boxes, [0.5, 0.91], path=path, open_image=open_image)


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            predict(path=Path("a/street.jpg")),
            "<Prediction street.jpg: 60x40, 2 unknown objects, highest confidence 0.91>",
        ),
        (predict(), "<Prediction image: 60x40, 2 unknown objects, highest confidence 0.91>"),
        (Prediction(None, 480, 640), "<Prediction image: 640x480, no unknown object>"),
        (Prediction(Path("b\udcff.png"), 2, 3), "<Prediction b?.png: 3x2, no unknown object>"),
    ],
)
def test_repr(found, words):
    assert repr(found) == words
    assert words.encode("utf-8")


def test_the_image_comes_back(image):
    assert np.array_equal(predict(image).read_image(), image)


def test_an_image_that_was_not_kept():
    with pytest.raises(ImageError, match="pass the image"):
        predict().overlay()


@pytest.mark.parametrize("other", [np.zeros((40, 61, 3), np.uint8), np.zeros((40, 60, 3), np.float32)])
def test_another_image_is_refused(other, image):
    for call in (predict(other).read_image, partial(predict(image).overlay, other)):
        with pytest.raises(
            ImageError, match=r"street.jpg|image is .* the objects were found in uint8 \[40, 60, 3\]"
        ):
            call()


def test_the_overlay_of_an_image_passed_is_that_of_the_one_kept(image):
    kept = predict(image).overlay()
    assert np.array_equal(predict().overlay(image), kept)
    assert kept.shape[1] == 660  # eleven times as large: the labels can be read
    assert predict(image).overlay(side=1200).shape[1] == 1200


def test_notebook_shows_overlay_and_table(image):
    page = predict(image, Path("street.jpg"))._repr_html_()
    assert page.count("<img") == 1
    assert page.count("<tr>") == 3


def test_notebook_without_the_image_shows_why():
    page = predict(path=Path("street.jpg"))._repr_html_()
    assert "<img" not in page
    assert "made without its image" in page
    assert page.count("<tr>") == 3


def test_pickle_brings_the_image_along(image):
    found = pickle.loads(pickle.dumps(predict(image, Path("street.jpg"))))
    assert repr(found) == repr(predict(path=Path("street.jpg")))
    assert np.array_equal(found.read_image(), image)


def test_coco_entries_belong_together():
    found = predict(path=Path("a/street.jpg"))
    assert found.to_coco_image(4) == {"id": 4, "file_name": "street.jpg", "width": 60, "height": 40}
    assert {each["image_id"] for each in found.to_coco(4)} == {4}
    assert [each["id"] for each in found.to_coco()] == [1, 2]


def test_plot_is_in_pixels_of_the_image(image):
    from matplotlib import pyplot

    axes = predict(image, Path("a $1 street.jpg")).plot()
    try:
        assert axes.get_title(loc="left") == "a $1 street.jpg: 2 unknown objects"
        (shown,) = axes.get_images()
        assert shown.get_array().shape == (*SHAPE, 3)
        mine = pyplot.figure().add_subplot()
        assert predict().plot(mine, image) is mine
    finally:
        pyplot.close("all")
