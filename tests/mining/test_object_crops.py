import numpy as np
import pytest

from oodseg.core.objects import OodObject
from oodseg.mining.crops import SIDE, cut, cut_mask, outline_of, region_of


def found(y0, y1, x0, x1, size=(100, 200)):
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return OodObject.from_mask(mask)


@pytest.mark.parametrize(
    ("box", "region"),
    [
        ((20, 60, 50, 150), (25, -35, 150)),  # half as large again as the longer side, around the centre
        ((50, 52, 100, 104), (78, 27, 48)),  # never under 48 pixels
    ],
)
def test_the_square_around_an_object(box, region):
    assert region_of(found(*box)) == region


def test_a_crop_is_black_outside_the_image():
    image = np.full((100, 200, 3), 200, np.uint8)
    crop = cut(image, (-40, -40, 80))
    assert crop.shape == (SIDE, SIDE, 3)
    half = SIDE // 2
    assert (crop[half + 3 :, half + 3 :] == 200).all()
    assert (crop[: half - 3] == 0).all()
    assert (cut(image, (10, 10, SIDE * 2))[:40, :80] == 200).all()


def test_mask_and_crop_lie_on_each_other():
    each = found(40, 60, 80, 120)
    region = region_of(each)
    image = each.mask.astype(np.uint8)[:, :, None].repeat(3, 2) * np.uint8(255)
    assert (cut_mask(each, region) == cut(image, region)[:, :, 0]).all()
    assert cut_mask(each, (0, 0, 10)).min() == 255, "an object that is not in its crop is all of it"


def test_an_outline_has_its_holes():
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:100, 20:200] = 255
    mask[40:60, 50:90] = 0
    path = outline_of(mask)
    assert path.count("M") == path.count("Z") == 2
    assert path.startswith("M20 10L")
    assert outline_of(np.zeros((SIDE, SIDE), np.uint8)) == ""
