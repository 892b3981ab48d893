import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.core.overlay.placement import intersections, nearest_point, place_labels

SIZE = (40, 16)
CANVAS = (400, 300)


def intersection(one, other):
    return intersections(np.array([one], float), np.array([other], float))[0, 0]


def outline(x0, y0, x1, y1):
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def place(*corners, canvas=CANVAS, gap=10):
    found = place_labels([outline(*each) for each in corners], [SIZE] * len(corners), canvas, gap)
    return [box for box, _ in found]


@pytest.mark.parametrize(
    ("one", "other", "area"),
    [
        ((0, 0, 10, 10), (5, 5, 20, 20), 25),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0),
        ((0, 0, 10, 10), (2, 3, 4, 6), 6),
        ((0, 0, 10, 10), (20, 20, 30, 30), 0),
    ],
)
def test_intersection(one, other, area):
    assert intersection(one, other) == intersection(other, one) == area


@pytest.mark.parametrize(
    ("point", "nearest"), [((5, 5), (5, 5)), ((-3, 5), (0, 5)), ((12, 30), (10, 20)), ((4, -1), (4, 0))]
)
def test_nearest_point(point, nearest):
    assert nearest_point((0, 0, 10, 20), point) == nearest


def test_above_and_to_the_right_where_there_is_room():
    (found,) = place((100, 100, 150, 160))
    away = 10 / np.sqrt(2)
    assert found == pytest.approx((150 + away, 100 - away - 16, 190 + away, 100 - away))


@pytest.mark.parametrize(
    "corners",
    [
        (370, 5, 395, 30),
        (0, 0, 20, 20),
        (0, 280, 30, 300),
        (380, 280, 400, 300),
        (0, 0, 400, 40),
        (0, 0, 380, 300),
    ],
)
def test_at_the_border_it_stays_inside_and_beside_the_object(corners):
    (found,) = place(corners)
    assert found[0] >= 0
    assert found[1] >= 0
    assert found[2] <= CANVAS[0]
    assert found[3] <= CANVAS[1]
    if corners != (0, 0, 380, 300):
        assert intersection(found, corners) == 0


def test_an_object_that_fills_the_image_has_its_label_on_itself():
    assert place((0, 0, 400, 300)) == [(360, 0, 400, 16)]


def test_two_objects_at_one_place_have_labels_apart():
    first, second = place((100, 100, 150, 160), (100, 100, 150, 160))
    assert intersection(first, second) == 0


def test_a_label_keeps_off_other_objects():
    neighbour = (160, 60, 220, 95)
    found, _ = place((100, 100, 150, 160), neighbour)
    assert intersection(found, neighbour) == 0


def test_the_outermost_point_counts_and_not_the_box():
    """A triangle with its right angle below: the label stands at the slope, not at the corner of the box."""
    ((found, _),) = place_labels(
        [np.array([(100.0, 100.0), (100.0, 200.0), (200.0, 200.0)])], [SIZE], CANVAS, 10
    )
    slope = min(np.hypot(found[0] - x, found[3] - y) for x, y in ((100, 100), (200, 200)))
    assert slope == pytest.approx(10)


@st.composite
def corners(draw):
    x0, y0 = draw(st.integers(0, 380)), draw(st.integers(0, 280))
    return x0, y0, x0 + draw(st.integers(1, 400 - x0)), y0 + draw(st.integers(1, 300 - y0))


@given(st.lists(corners(), max_size=8))
@settings(deadline=None, max_examples=50)
def test_always_inside_and_apart(objects):
    labels = place(*objects)
    assert len(labels) == len(objects)
    for x0, y0, x1, y1 in labels:
        assert min(x0, y0) >= 0
        assert x1 <= CANVAS[0]
        assert y1 <= CANVAS[1]
        assert (x1 - x0, y1 - y0) == pytest.approx(SIZE)
    assert sum(intersection(a, b) for a, b in itertools.combinations(labels, 2)) == 0


def test_a_canvas_smaller_than_the_label():
    assert place((2, 2, 5, 5), canvas=(10, 8)) == [(0, 0, 40, 16)]


def test_in_a_video_labels_stay_on_their_side():
    """Unless they would be far away."""
    square = outline(100, 100, 130, 130)
    ((above, first),) = place_labels([square], [SIZE], CANVAS, 10)
    for other in (5, 15):  # above, and to the right
        ((box, place),) = place_labels([square], [SIZE], CANVAS, 10, [other])
        assert place == other
        assert box != above
    for far_or_none in (4, None):
        ((box, place),) = place_labels([square], [SIZE], CANVAS, 10, [far_or_none])
        assert (box, place) == (above, first)


def test_in_a_video_labels_make_way_for_objects():
    square = outline(100, 100, 130, 130)
    ((above, first),) = place_labels([square], [SIZE], CANVAS, 10)
    corners = (above[0], above[1], above[2], above[3])
    (moved, place), _ = place_labels([square, outline(*corners)], [SIZE] * 2, CANVAS, 10, [first, None])
    assert place != first
    assert moved != above
