import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle_tools

from oodseg.core import objects
from oodseg.core.objects import OodObject, drop_parts, encode_objects

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


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


@given(SHAPES.flatmap(lambda shape: arrays.arrays(bool, shape)), st.sampled_from(["text", "bytes", "list"]))
@settings(deadline=None)
def test_an_object_is_made_of_run_lengths_in_any_form(mask, form):
    rle = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    assert objects.run_lengths(rle["counts"].decode()) == run_lengths(mask)
    forms = {"text": rle["counts"].decode(), "bytes": rle["counts"], "list": run_lengths(mask)}
    given_rle = {"size": rle["size"], "counts": forms[form]}
    if not mask.any():
        with pytest.raises(ValueError, match="the mask is empty"):
            OodObject.from_rle(given_rle)
        return
    (expected,) = encode_objects(mask[None], [[0, 0, 1, 1]], [0.5])
    found = OodObject.from_rle(given_rle, 0.5)
    assert (found.rle, found.area, found.confidence) == (expected.rle, expected.area, 0.5)
    x, y, width, height = expected.bbox
    assert found.prompt_box == (x, y, x + width, y + height)
    assert OodObject.from_mask(mask, 0.5) == found


@pytest.mark.parametrize("counts", ["", "0", [1, 2], [-1, 13], b"52203"])
def test_run_lengths_of_another_size_are_an_error(counts):
    with pytest.raises(ValueError, match="do not add up to 4x3 pixels"):
        OodObject.from_rle({"size": [3, 4], "counts": counts})


def test_run_lengths_that_end_early_are_an_error():
    with pytest.raises(ValueError, match="end within a number"):
        OodObject.from_rle({"size": [3, 4], "counts": "P"})


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


def rectangles(*corners, side=20):
    masks = np.zeros((len(corners), side, side), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    return masks


@pytest.mark.parametrize(
    ("corners", "confidence", "kept"),
    [
        ([(0, 0, 10, 10), (2, 2, 6, 6)], [0.9, 0.5], [0]),  # wholly inside
        ([(0, 0, 10, 10), (2, 2, 6, 6)], [0.5, 0.9], [1, 0]),  # the whole is the less sure one
        ([(0, 0, 10, 10), (6, 0, 11, 10)], [0.9, 0.5], [0]),  # 80 % inside
        ([(0, 0, 10, 10), (7, 0, 12, 10)], [0.9, 0.5], [0, 1]),  # 60 % inside
        ([(0, 0, 5, 10), (5, 0, 10, 10), (1, 0, 9, 10)], [0.9, 0.8, 0.7], [0, 1, 2]),  # half in either
        ([], [], []),
    ],
)
def test_parts_are_dropped(corners, confidence, kept):
    masks = rectangles(*corners)
    objects = encode_objects(masks, np.reshape(corners, (-1, 4)), confidence)
    assert [found.prompt_box for found in drop_parts(objects)] == [corners[number] for number in kept]


def test_the_share_can_be_chosen():
    objects = encode_objects(
        rectangles((0, 0, 10, 10), (7, 0, 12, 10)), [[0, 0, 10, 10], [7, 0, 12, 10]], [1, 1]
    )
    assert len(drop_parts(objects, share=0.5)) == 1
