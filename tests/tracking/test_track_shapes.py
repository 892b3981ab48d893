import numpy as np
import pytest
from tracking_tables import filled

from oodseg.tracking.shapes import Shape, between, box_iou, mask_iou, outline


def shape(*box, mask=None):
    return Shape(np.array(box, float), np.ones((4, 4), bool) if mask is None else np.array(mask, bool))


@pytest.mark.parametrize(
    ("first", "second", "buffer", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 0, 1),
        ((0, 0, 10, 10), (5, 0, 15, 10), 0, 1 / 3),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0, 0),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.5, 1 / 3),  # 20 wide each, 10 of them shared
        ((0, 0, 10, 10), (20, 0, 30, 10), 0.5, 0),
        ((0, 0, 4, 4), (0, 0, 8, 8), 0, 0.25),
    ],
)
def test_box_iou(first, second, buffer, expected):
    assert box_iou(np.array(first, float), np.array(second, float), buffer) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("second", "expected"),
    [((0, 0, 40, 40), 1), ((20, 0, 60, 40), 1 / 3), ((40, 0, 80, 40), 0), ((0, 0, 40, 20), 0.5)],
)
def test_masks_that_fill_their_boxes_overlap_as_the_boxes_do(second, expected):
    assert mask_iou(shape(0, 0, 40, 40), shape(*second)) == pytest.approx(expected, abs=0.02)


def test_masks_in_one_box_that_share_nothing():
    left, right = [[1, 0], [1, 0]], [[0, 1], [0, 1]]
    assert mask_iou(shape(0, 0, 8, 8, mask=left), shape(0, 0, 8, 8, mask=right)) == 0


def test_an_object_comes_back_as_it_was():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:16] = True
    mask[5, 10] = False
    found = filled((10, 5, 16, 9), height=20, width=30)
    cut = Shape.of(found)
    assert cut.box.tolist() == [10, 5, 16, 9]
    assert cut.mask.shape == (4, 6)
    again = outline(Shape(cut.box, mask[5:9, 10:16]), 20, 30, 0.25)
    assert np.array_equal(again.mask, mask)
    assert (again.confidence, again.area) == (0.25, 23)


def test_a_shape_takes_the_size_of_its_box():
    corner = shape(0, 0, 2, 2, mask=[[1, 0], [0, 0]])
    painted = corner.at(np.array([2.0, 2.0, 6.0, 6.0])).paint(8, 8)
    assert painted[2:4, 2:4].all()
    assert painted.sum() == 4


def test_what_leaves_the_image_is_cut_off():
    assert outline(shape(-4, 0, 4, 8), 8, 8, 0.5).area == 4 * 8
    assert outline(shape(-9, 0, -1, 8), 8, 8, 0.5) is None


@pytest.mark.parametrize(
    ("share", "box", "full"), [(0.25, [5, 0, 15, 10], True), (0.75, [15, 0, 25, 10], False)]
)
def test_between_lies_the_nearer_shape(share, box, full):
    before, after = shape(0, 0, 10, 10), shape(20, 0, 30, 10, mask=[[1, 0]])
    middle = between(before, after, share)
    assert middle.box.tolist() == box
    assert middle.mask.all() == full
