import numpy as np
import pytest

from oodseg.core.objects import encode_objects
from oodseg.core.overlay.insets import Inset, choose_insets, draw_insets, fitting, tile_side
from oodseg.core.overlay.style import COLOURS, PAPER, Style

HEIGHT, WIDTH = 500, 1000
STYLE = Style(2.0, 1.5, 13, 10)


def objects(*corners):
    masks = np.zeros((len(corners), HEIGHT, WIDTH), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    return encode_objects(masks, np.array(corners, float).reshape(-1, 4), np.linspace(0.9, 0.1, len(corners)))


@pytest.mark.parametrize(
    ("corners", "scale", "expected"),
    [
        ((500, 200, 540, 220), 1.0, Inset(0, 476, 166, 88, 160 / 88)),  # twice its side and a bit
        ((500, 200, 505, 203), 1.0, Inset(0, 492, 192, 20, 8.0)),  # no more than 8 times
        ((0, 0, 20, 20), 1.0, Inset(0, 0, 0, 44, 160 / 44)),  # moved into the image
        ((980, 480, 1000, 500), 1.0, Inset(0, 956, 456, 44, 160 / 44)),
        ((500, 200, 600, 210), 1.0, Inset(0, 486, 141, 128, 1.25)),  # long: less around it
        ((500, 200, 540, 220), 0.5, Inset(0, 476, 166, 88, 320 / 88)),  # against an image at half its size
        ((500, 200, 700, 210), 1.0, None),  # too long to be enlarged
        ((500, 200, 600, 260), 1.0, None),  # not small: 1.2 % of the image
    ],
)
def test_what_a_tile_shows(corners, scale, expected):
    assert choose_insets(objects(corners), HEIGHT, WIDTH, 160, scale) == (
        [] if expected is None else [expected]
    )


@pytest.mark.parametrize(("width", "side"), [(1000, 158), (400, 104), (60, 60)])
def test_six_tiles_fill_a_row(width, side):
    assert tile_side(width, STYLE) == side


@pytest.mark.parametrize(
    ("count", "size"), [(0, (0, 0)), (1, (158, 158)), (6, (158, 998)), (7, (326, 998)), (40, (326, 998))]
)
def test_two_rows_at_most(count, size):
    found = objects(*[(20 * i, 100, 20 * i + 10, 110) for i in range(count)])
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    chosen = choose_insets(found, HEIGHT, WIDTH, 158, 1.0)
    shown = fitting(chosen, WIDTH, 158, STYLE)
    assert (len(chosen), len(shown)) == (count, min(count, 12))
    board = draw_insets(image, found, shown, WIDTH, 158, STYLE)
    assert board.shape == (*size, 3)


def test_a_tile_is_the_image_enlarged_in_a_frame_of_the_objects_colour(rng):
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[200:220, 500:540] = (10, 200, 30)
    found = objects((500, 200, 540, 220), (0, 0, 10, 10))
    board = draw_insets(image, found, choose_insets(found, HEIGHT, WIDTH, 160, 1.0), WIDTH, 160, STYLE)
    assert tuple(board[80, 80]) == (10, 200, 30)
    assert tuple(board[130, 20]) == (90, 90, 90)
    assert tuple(board[80, 0]) == COLOURS[0]
    assert tuple(board[80, 170]) == COLOURS[1]
    assert tuple(board[80, 165]) == PAPER
