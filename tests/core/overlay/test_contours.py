import numpy as np
import pytest

from oodseg.core.objects import encode_objects
from oodseg.core.overlay.contours import View, cut_out, margin_for, paint, paint_line, signed_distance

WHOLE = View(0, 0, 1.0)
COLOUR = (230, 159, 0)


def square(shape, x0, y0, x1, y1):
    mask = np.zeros((1, *shape), bool)
    mask[0, y0:y1, x0:x1] = True
    return encode_objects(mask, [[x0, y0, x1, y1]], [0.5])[0]


def painted(found, shape, view=WHOLE, width=2.0, fill=0.0, grey=128):
    canvas = np.full((*shape, 3), grey, np.uint8)
    paint(canvas, cut_out(found, margin_for(width, view)), view, COLOUR, width, fill)
    return canvas


def near(pixel, colour, tolerance=2):
    return np.abs(pixel.astype(int) - colour).max() <= tolerance


def test_distance_to_a_straight_edge():
    mask = np.zeros((40, 40), bool)
    mask[:, 20:] = True
    expected = np.arange(40) - 19.5
    assert signed_distance(mask)[20, 3:37] == pytest.approx(expected[3:37], abs=0.01)


@pytest.mark.parametrize("full", [True, False])
def test_no_edge_is_far_away(full):
    distance = signed_distance(np.full((5, 7), full))
    assert (np.sign(distance) == (1 if full else -1)).all()
    assert np.abs(distance).min() > 10


def test_the_line_lies_outside_and_the_object_stays_as_it_is():
    canvas = painted(square((60, 60), 20, 20, 40, 40), (60, 60))
    assert near(canvas[30, 19], COLOUR, 30)
    assert near(canvas[30, 18], COLOUR, 30)
    assert (canvas[24:36, 24:36] == 128).all()
    assert (canvas[30, 16] < 120).all()  # the halo
    assert (canvas[:12] == 128).all()
    assert (canvas[:, :12] == 128).all()


@pytest.mark.parametrize(("fill", "expected"), [(0.0, (128, 128, 128)), (0.25, (154, 136, 96))])
def test_tint(fill, expected):
    canvas = painted(square((60, 60), 20, 20, 40, 40), (60, 60), fill=fill)
    assert near(canvas[30, 30], expected, 1)
    assert near(canvas[5, 5], (128, 128, 128), 0)


def test_holes_have_a_line_and_no_tint():
    mask = np.zeros((1, 60, 60), bool)
    mask[0, 10:50, 10:50] = True
    mask[0, 22:38, 22:38] = False
    canvas = painted(encode_objects(mask, [[10, 10, 50, 50]], [0.5])[0], (60, 60), fill=0.3)
    assert near(canvas[30, 30], (128, 128, 128), 0)
    assert near(canvas[30, 22], COLOUR, 30)
    assert canvas[30, 16, 2] < 100


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0, 3.7])
def test_any_scale_puts_the_line_at_the_edge(scale):
    size = round(60 * scale)
    canvas = painted(square((60, 60), 20, 20, 40, 40), (size, size), View(0, 0, scale), width=3.0)
    lit = np.nonzero(canvas[size // 2, :, 0] > 180)[0]
    left, right = lit[lit < size / 2], lit[lit > size / 2]
    # Centres of the lines: 1.5 pixels outside the edges at 20 and 40.
    assert left.mean() + 0.5 == pytest.approx(20 * scale - 1.5, abs=0.6)
    assert right.mean() + 0.5 == pytest.approx(40 * scale + 1.5, abs=0.6)


def test_a_view_shows_a_part():
    found = square((60, 60), 20, 20, 40, 40)
    whole, part = painted(found, (60, 60)), painted(found, (30, 30), View(25, 10, 1.0))
    assert np.array_equal(part, whole[10:40, 25:55])


@pytest.mark.parametrize("view", [View(50, 50, 1.0), View(0, 55, 2.0)])
def test_an_object_outside_the_view_leaves_it_alone(view):
    assert (painted(square((60, 60), 20, 20, 40, 40), (10, 10), view) == 128).all()


def test_no_line_along_the_border_of_the_image():
    canvas = painted(square((40, 40), 0, 0, 40, 20), (40, 40))
    assert (canvas[:15] == 128).all()
    assert near(canvas[20, 20], COLOUR, 30)


def test_one_pixel_is_outlined():
    canvas = painted(square((20, 20), 10, 10, 11, 11), (20, 20), width=1.2)
    assert (canvas[10, 9, 0].astype(int) - canvas[10, 9, 2]) > 60
    assert (canvas[:4] == 128).all()


def test_a_line_runs_from_point_to_point():
    canvas = np.full((40, 40, 3), 128, np.uint8)
    paint_line(canvas, (5, 20), (30, 20), COLOUR, 2.0)
    assert all(near(canvas[20, x], COLOUR, 30) for x in range(6, 30))
    assert (canvas[:, 36:] == 128).all()
    assert (canvas[:15] == 128).all()


@pytest.mark.parametrize("end", [(5, 20), (-50, 20), (5, 90)])
def test_lines_of_no_length_or_leaving_the_canvas(end):
    canvas = np.full((40, 40, 3), 128, np.uint8)
    paint_line(canvas, (5, 20), end, COLOUR, 2.0)
    assert near(canvas[20, 5], COLOUR, 30)
