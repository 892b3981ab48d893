import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle_tools

from oodseg.core.prediction import Prediction, encode_objects

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
MASKS = st.tuples(st.integers(0, 5), st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays.arrays(bool, shape)
)
CONFIDENCES = st.floats(0, 1, width=32)


@st.composite
def scenes(draw):
    masks = draw(MASKS)
    confidence = draw(st.lists(CONFIDENCES, min_size=len(masks), max_size=len(masks)))
    return masks, np.zeros((len(masks), 4)), np.array(confidence)


def run_lengths(mask):
    """COCO's run lengths written out: column by column, zeros first."""
    counts, value = [0], False
    for pixel in mask.ravel(order="F"):
        if pixel == value:
            counts[-1] += 1
        else:
            counts.append(1)
            value = not value
    return counts


@given(SHAPES.flatmap(lambda shape: arrays.arrays(bool, shape)))
@settings(deadline=None)
def test_run_lengths_come_back_and_agree_with_their_definition(mask):
    found = encode_objects(mask[None], [[0, 0, 1, 1]], [0.5])
    if not mask.any():
        assert found == []
        return
    (one,) = found
    assert np.array_equal(one.mask, mask)
    assert one.area == mask.sum()
    assert one.rle["size"] == list(mask.shape)
    independent = rle_tools.frPyObjects({"size": list(mask.shape), "counts": run_lengths(mask)}, *mask.shape)
    assert independent["counts"].decode() == one.rle["counts"]
    rows, columns = np.nonzero(mask)
    x, y = columns.min(), rows.min()
    assert one.bbox == (x, y, columns.max() + 1 - x, rows.max() + 1 - y)


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


def test_coco_annotations():
    masks = np.zeros((3, 10, 12), bool)
    masks[0, 1:4, 2:8] = True
    masks[2, 5:9, 0:3] = True
    boxes = [[2, 1, 8, 4], [0, 0, 1, 1], [0, 5, 3, 9]]
    found = Prediction.from_masks(masks, boxes, [0.25, 0.99, 0.75]).to_coco(7, first_annotation_id=40)
    assert [(each["id"], each["image_id"], each["score"]) for each in found] == [(40, 7, 0.75), (41, 7, 0.25)]
    assert found[0]["bbox"] == [0, 5, 3, 4]
    assert found[1]["area"] == 18
    assert {each["category_id"] for each in found} == {1}
    assert {each["iscrowd"] for each in found} == {0}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("masks", "boxes", "confidence"),
    [
        (np.zeros((2, 5, 5), bool), np.zeros((2, 4)), [0.5]),
        (np.zeros((1, 5, 5), bool), np.zeros((1, 3)), [0.5]),
        (np.zeros((5, 5), bool), np.zeros((1, 4)), [0.5]),
    ],
)
def test_arrays_that_do_not_belong_together(masks, boxes, confidence):
    with pytest.raises(ValueError, match="do not belong together"):
        encode_objects(masks, boxes, confidence)
