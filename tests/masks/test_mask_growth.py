import numpy as np
import pytest

from oodseg.masks.growth import is_cut_off, outline_whole, tight_box

SHAPE = 40, 120


def filled(x0, y0, x1, y1):
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


class Crops:
    """Sees the part of an object that lies in the box enlarged by a half, as crops do."""

    def __init__(self, truth, leaks=None):
        self.truth, self.leaks, self.asked = truth, leaks, []

    def __call__(self, boxes):
        self.asked.append(boxes.tolist())
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, 0.75 * (boxes[:, 2:] - boxes[:, :2])
        regions = np.concatenate([centre - half, centre + half], 1).astype(np.float32)
        masks = np.zeros((len(boxes), *SHAPE), bool)
        truth = self.truth if len(self.asked) == 1 or self.leaks is None else self.leaks
        for mask, region in zip(masks, regions, strict=True):
            x0, y0 = np.maximum(np.ceil(region[:2] - 0.5), 0).astype(int)
            x1, y1 = np.floor(region[2:] - 0.5).astype(int) + 1
            mask[y0:y1, x0:x1] = truth[y0:y1, x0:x1]
        return masks, regions


@pytest.mark.parametrize(
    ("region", "cut"),
    [
        ((0, 0, 120, 40), False),  # the whole image
        ((20, 5, 80, 35), False),  # the object ends within
        ((30, 5, 60, 35), True),  # it is cut off at the left
        ((20, 5, 50, 35), True),  # at the right
        ((20, 18, 80, 35), True),  # above
        ((20, 5, 80, 16), True),  # below
        ((-30, -10, 150, 50), False),  # more than the image
    ],
)
def test_a_mask_at_the_edge_of_its_crop_is_cut_off(region, cut):
    x0, y0, x1, y1 = (max(round(side), 0) for side in region)
    mask = filled(25, 10, 70, 30) & filled(x0, y0, x1, y1)
    assert is_cut_off(mask, np.array(region, np.float32)) is cut


def test_a_few_pixels_at_the_edge_cut_nothing_off():
    mask = filled(40, 10, 60, 30)
    mask[20, 20:40] = True
    assert not is_cut_off(mask, np.array([20, 5, 80, 35], np.float32))


def test_an_object_is_drawn_until_it_ends():
    truth = filled(20, 12, 100, 28)
    crops = Crops(truth)
    (found,) = outline_whole(crops, np.array([[40, 12, 64, 28]], np.float32))
    assert np.array_equal(found, truth)
    assert tight_box(found) == (20, 12, 100, 28)
    assert len(crops.asked) == 4


def test_what_ends_within_its_crop_is_drawn_once():
    crops = Crops(filled(20, 12, 60, 28))
    outline_whole(crops, np.array([[22, 12, 58, 28]], np.float32))
    assert len(crops.asked) == 1


def test_only_what_is_cut_off_is_drawn_again():
    crops = Crops(filled(20, 12, 60, 28) | filled(80, 12, 90, 28))
    masks = outline_whole(crops, np.array([[80, 12, 90, 28], [40, 12, 60, 28]], np.float32))
    assert [len(boxes) for boxes in crops.asked][:2] == [2, 1]
    assert tight_box(masks[0]) == (80, 12, 90, 28)
    assert tight_box(masks[1])[0] < 34


def test_a_mask_that_forgets_the_first_is_not_taken():
    first = filled(20, 12, 100, 28)
    crops = Crops(first, leaks=filled(0, 0, 30, 40))
    (found,) = outline_whole(crops, np.array([[40, 12, 64, 28]], np.float32))
    assert tight_box(found) == (34, 12, 70, 28)


def test_without_boxes_there_are_no_masks():
    assert outline_whole(Crops(filled(0, 0, 5, 5)), np.zeros((0, 4), np.float32)).shape == (0, *SHAPE)
