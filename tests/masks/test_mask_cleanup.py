import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from oodseg.masks.cleanup import box_pixels, drop_strays


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 3, 5, 7), (3, 7), (2, 5)),
        ((2.4, 3.6, 4.2, 6.1), (3, 7), (2, 5)),
        ((2.0000002, 3, 4.9999998, 7.0000002), (3, 7), (2, 5)),
        ((-5, -5, 3, 2), (0, 2), (0, 3)),
        ((8, 9, 90, 90), (9, 12), (8, 10)),
        ((4, 4, 4, 4), (4, 5), (4, 5)),
        ((10, 12, 10, 12), (11, 12), (9, 10)),
        ((10.5, 0, 12, 5), (0, 0), (0, 0)),
        ((0, -8, 5, -1), (0, 0), (0, 0)),
    ],
)
def test_box_pixels_rounds_outwards_and_clips(box, rows, columns):
    assert box_pixels(box, 12, 10) == (slice(*rows), slice(*columns))


@settings(max_examples=60, deadline=None)
@given(x0=st.floats(0, 30), y0=st.floats(0, 20), width=st.floats(0, 30), height=st.floats(0, 20))
def test_box_pixels_covers_the_box_and_little_more(x0, y0, width, height):
    rows, columns = box_pixels((x0, y0, x0 + width, y0 + height), 20, 30)
    assert 0 <= rows.start < rows.stop <= 20
    assert 0 <= columns.start < columns.stop <= 30
    assert columns.start <= x0 + 0.01
    assert columns.stop >= min(x0 + width, 30) - 0.01
    assert rows.stop - rows.start <= math.ceil(height) + 1
    assert columns.stop - columns.start <= math.ceil(width) + 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.floats(0.05, 0.9))
def test_drop_strays_keeps_what_a_loop_over_components_keeps(seed, density):
    rng = np.random.default_rng(seed)
    mask = rng.random((24, 30)) < density
    box = slice(5, 15), slice(8, 20)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    expected = np.zeros_like(mask)
    for index in range(1, count + 1):
        part = labels == index
        if part[box].any() and part.sum() >= 0.02 * mask.sum():
            expected |= part
    np.testing.assert_array_equal(drop_strays(mask, box), expected)


def test_drop_strays_of_an_empty_mask_is_empty():
    assert not drop_strays(np.zeros((5, 6), bool), (slice(0, 5), slice(0, 6))).any()
