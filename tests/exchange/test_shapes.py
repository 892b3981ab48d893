import numpy as np
import pytest
from label_cases import HEIGHT, SIZE, WIDTH, found, ring

from oodseg.exchange.shapes import cut_out, fill_box, fill_ellipse, fill_polygon, put_back


def test_a_polygon_covers_whole_pixels():
    mask = fill_polygon([(2, 1), (6, 1), (6, 5), (2, 5)], *SIZE)
    assert mask.sum() == 16
    assert mask[1:5, 2:6].all()


@pytest.mark.parametrize("points", [[], [(1, 1)], [(1, 1), (9, 9)]])
def test_what_has_no_inside_is_empty(points):
    assert not fill_polygon(points, *SIZE).any()


def test_a_box_turns_clockwise_around_its_centre():
    flat = fill_box(10, 18, 30, 22, *SIZE)
    assert (flat.sum(), flat[18:22, 10:30].all()) == (80, True)
    upright = fill_box(10, 18, 30, 22, HEIGHT, WIDTH, degrees=90)
    assert (upright.sum(), upright[10:30, 18:22].all()) == (80, True)
    slanted = fill_box(10, 18, 30, 22, HEIGHT, WIDTH, degrees=45)
    assert slanted[14, 14]
    assert slanted[26, 26]
    assert not slanted[14, 26]


def test_an_ellipse_has_its_area():
    mask = fill_ellipse((30, 20), (20, 8), *SIZE)
    assert mask.sum() == pytest.approx(np.pi * 160, rel=0.03)
    assert mask[20, 11:49].all()
    assert not mask[8].any()


def test_a_mask_is_cut_out_and_put_back():
    mask = ring(3, 5, 12)
    left, top, cut = cut_out(found(mask, 1))
    assert (left, top, cut.shape) == (5, 3, (12, 12))
    assert (put_back(cut, left, top, *SIZE) == mask).all()


@pytest.mark.parametrize(("left", "top"), [(-3, -2), (57, 38), (0, 0), (-3, 38), (90, 90), (-90, 3)])
def test_what_lies_outside_is_dropped(left, top):
    whole = np.zeros((240, 260), bool)
    whole[100 + top : 105 + top, 100 + left : 106 + left] = True
    assert (put_back(np.ones((5, 6)), left, top, *SIZE) == whole[100:140, 100:160]).all()
