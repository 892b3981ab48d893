from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oodseg.core.errors import ImageError
from oodseg.core.objects import encode_objects
from oodseg.core.overlay import COLOURS, caption, draw_objects, draw_overlay


def objects(shape, *corners):
    masks = np.zeros((len(corners), *shape), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    return encode_objects(masks, np.array(corners, float).reshape(-1, 4), np.linspace(0.9, 0.2, len(corners)))


@pytest.mark.parametrize(
    ("count", "words"), [(0, "no unknown object"), (1, "1 unknown object"), (5, "5 unknown objects")]
)
def test_caption(count, words):
    assert caption(count) == words


def test_large_objects_are_tinted_and_the_rest_keeps_its_light():
    image = np.full((600, 900, 3), (200, 120, 120), np.uint8)
    before = image.copy()
    found = draw_objects(image, objects((600, 900), (120, 180, 300, 360), (480, 180, 780, 480)))
    assert found.shape == image.shape
    assert np.array_equal(image, before)
    for centre, colour in zip([(270, 210), (330, 630)], COLOURS, strict=False):
        expected = 0.78 * image[centre] + 0.22 * np.array(colour)
        assert np.abs(found[centre] - expected).max() <= 1
    assert (found[:100] == image[:100]).all()
    assert (found[540:] == image[540:]).all()


def test_small_objects_are_not_tinted_and_have_the_thinner_line():
    image = np.full((600, 900, 3), 128, np.uint8)
    small, large = (
        draw_objects(image, objects((600, 900), box)) for box in ((400, 300, 440, 340), (400, 300, 600, 500))
    )
    assert (small[305:335, 405:435] == 128).all()
    lines = [
        ((each[330, 380:400, 0].astype(int) - each[330, 380:400, 2]) > 40).sum() for each in (small, large)
    ]
    assert 0 < lines[0] <= lines[1]
    assert small[330, 398, 0] < large[330, 398, 0]


def test_the_figure_keeps_the_image_and_puts_the_rest_below():
    image = np.full((600, 900, 3), 128, np.uint8)
    found = objects((600, 900), (400, 300, 440, 340))
    figure = draw_overlay(image, found)
    assert np.array_equal(figure[:600], draw_objects(image, found))
    assert figure.shape[1] == 900
    assert figure.shape[0] > 700  # a row of tiles and the caption
    assert (figure[600:, -50:] == 255).all()


def test_without_small_objects_there_is_a_caption_and_no_tile():
    image = np.full((600, 900, 3), 128, np.uint8)
    plain = draw_overlay(image, [])
    assert 620 < plain.shape[0] < 660
    assert (plain[:600] == 128).all()
    assert (plain[600:].min(axis=2) < 60).any()  # letters
    tinted = draw_overlay(image, objects((600, 900), (100, 100, 400, 400)))
    assert 620 < tinted.shape[0] < 680


def test_what_is_left_out_is_said():
    image = np.full((600, 900, 3), 128, np.uint8)
    many = [(20 * i, 300, 20 * i + 8, 308) for i in range(30)]
    heights = [draw_overlay(image, objects((600, 900), *many[:count])).shape[0] for count in (12, 30)]
    assert heights[1] > heights[0]  # one line more, the same tiles


@pytest.mark.parametrize(
    ("shape", "side", "width"),
    [
        ((600, 900), None, 900),
        ((600, 900), 450, 450),
        ((60, 100), None, 700),  # seven times as large
        ((16, 16), None, 640),
        ((400, 16), None, 234),  # wide enough for the caption
        ((600, 900), 1350, 1350),
    ],
)
def test_sizes(shape, side, width):
    image = np.full((*shape, 3), 128, np.uint8)
    height = shape[0] if side is None else side * shape[0] // shape[1]
    figure = draw_overlay(image, objects(shape, (2, 2, 8, 8)), side)
    assert figure.shape[1] == width
    assert figure.shape[0] > height
    assert figure.dtype == np.uint8


@pytest.mark.parametrize("shape", [(16, 16), (16, 400), (400, 16), (37, 53), (720, 1280)])
@pytest.mark.parametrize("count", [1, 12])
def test_any_size_and_number(shape, count):
    rng = np.random.default_rng(0)
    corners = []
    for _ in range(count):
        x0, y0 = rng.integers(0, shape[1] - 4), rng.integers(0, shape[0] - 4)
        corners.append((x0, y0, rng.integers(x0 + 1, shape[1] + 1), rng.integers(y0 + 1, shape[0] + 1)))
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = objects(shape, *corners)
    drawn = draw_objects(image, found)
    assert drawn.shape == image.shape
    assert (drawn != image).any()
    assert draw_overlay(image, found).shape[1] >= shape[1]


def test_the_whole_image_as_one_object():
    image = np.full((300, 400, 3), 128, np.uint8)
    found = draw_objects(image, objects((300, 400), (0, 0, 400, 300)))
    assert np.abs(found[200, 300] - (0.78 * 128 + 0.22 * np.array(COLOURS[0]))).max() <= 1


def test_two_objects_at_one_place_can_both_be_read():
    image = np.full((300, 400, 3), 90, np.uint8)
    found = draw_objects(image, objects((300, 400), (100, 100, 200, 200), (100, 100, 200, 200)))
    for colour in COLOURS[:2]:
        assert (np.abs(found.astype(int) - colour).max(axis=2) < 30).sum() > 60


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("street.jpg", "not as a str: oodseg.read_image"),
        (Path("street.jpg"), "not as a PosixPath|WindowsPath"),
        (np.zeros((40, 60, 3), np.float32), r"not float32 \[40, 60, 3\]"),
        (np.zeros((40, 60), np.uint8), r"not uint8 \[40, 60\]"),
    ],
)
@pytest.mark.parametrize("draw", [draw_overlay, draw_objects])
def test_what_is_no_array_of_pixels_is_refused_in_a_sentence(draw, image, words):
    with pytest.raises(ImageError, match=words):
        draw(image, [])


def test_tracks_keep_number_and_colour_whatever_their_confidence():
    """In a video the surest object of a frame may be any track."""
    image = np.full((600, 900, 3), 128, np.uint8)
    (found,) = objects((600, 900), (120, 180, 300, 360))
    as_track = {number: draw_objects(image, [replace(found, track=number)]) for number in (1, 2)}
    assert np.array_equal(as_track[1], draw_objects(image, [found]))
    for number, drawn in as_track.items():
        above = drawn[170:185, 200].astype(int)  # across the contour
        assert np.abs(above - COLOURS[number - 1]).max(axis=1).min() < 40
