import numpy as np
import pytest

from oodseg.core.objects import OodObject, encode_objects
from oodseg.core.overlay.contours import cut_out
from oodseg.core.overlay.labels import chip, draw_labels, paste
from oodseg.core.overlay.style import COLOURS, INK, Style, colour_of, ink_on, number_of, style_for

STYLE = Style(2.0, 1.5, 14, 12)


def test_a_chip_has_the_colour_behind_the_number_and_black_behind_the_text():
    found = chip("1", "0.93", COLOURS[0], 14)
    height, width = found.shape[:2]
    assert tuple(found[height // 2, 3, :3]) == COLOURS[0]
    assert tuple(found[height // 2, width - 2, :3]) == INK
    assert found[0, 0, 3] < 60 < 200 < found[height // 2, width // 2, 3]


@pytest.mark.parametrize(("shorter", "longer"), [(("1", ""), ("1", "0.5")), (("", "2x"), ("12", "2x"))])
def test_chips_are_as_wide_as_what_they_say(shorter, longer):
    widths = [chip(number, text, COLOURS[0], 14).shape[1] for number, text in (shorter, longer)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    ("colour", "ink"),
    [((255, 255, 255), INK), ((240, 228, 66), INK), ((0, 114, 178), (255, 255, 255)), (INK, (255, 255, 255))],
)
def test_letters_contrast(colour, ink):
    assert ink_on(colour) == ink


def test_colours_begin_anew():
    assert [colour_of(each) for each in (1, 7, 8)] == [COLOURS[0], COLOURS[6], COLOURS[0]]


def test_numbers_are_places_in_images_and_tracks_in_videos():
    image, frame = OodObject({}, (0, 0, 1, 1), 0.5, 1), OodObject({}, (0, 0, 1, 1), 0.5, 1, track=9)
    assert [number_of(each, 3) for each in (image, frame)] == [4, 9]


def test_measures_grow_with_the_image_but_never_shrink_below_what_can_be_read():
    small, middle, large = style_for(180, 320), style_for(1000, 1000), style_for(4000, 4000)
    assert small == middle
    assert (middle.letter, large.letter) == (13, 52)
    assert large.line == 4 * middle.line


@pytest.mark.parametrize(("x", "y"), [(0, 0), (-5, 3), (18, 18), (40, 40)])
def test_pasting_is_cut_off_at_the_border(x, y):
    canvas = np.zeros((20, 20, 3), np.uint8)
    paste(canvas, np.full((6, 8, 4), 255, np.uint8), x, y)
    x, y = max(0, x), max(0, y)
    expected = np.zeros((20, 20), bool)
    expected[y : y + 6, x : x + 8] = True
    assert np.array_equal(canvas.any(axis=2), expected)


def test_a_leader_joins_label_and_object():
    mask = np.zeros((1, 200, 300), bool)
    mask[0, 100:130, 100:140] = True
    shape = cut_out(encode_objects(mask, [[100, 100, 140, 130]], [0.5])[0], 4)
    canvas = np.full((200, 300, 3), 128, np.uint8)
    draw_labels(canvas, [shape], [1], [0.5], 1.0, STYLE)
    changed = (canvas != 128).any(axis=2)
    assert not changed[102:128, 102:138].any()
    rows, columns = np.nonzero(changed)
    # From the upper right corner of the object to the label above and to the right of it.
    assert rows.min() < 75
    assert columns.max() > 170
    assert changed[90:98, 140:152].any()


def test_a_narrow_canvas_has_the_number_alone():
    mask = np.zeros((1, 200, 30), bool)
    mask[0, 100:110, 10:20] = True
    shape = cut_out(encode_objects(mask, [[10, 100, 20, 110]], [0.5])[0], 4)
    canvas = np.full((200, 30, 3), 128, np.uint8)
    draw_labels(canvas, [shape], [1], [0.5], 1.0, STYLE)
    rows = (np.abs(canvas.astype(int) - COLOURS[0]).max(axis=2) < 40).sum(axis=1)
    assert rows.max() >= 12
