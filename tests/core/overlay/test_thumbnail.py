import numpy as np
import pytest

from oodseg.core.errors import ImageError
from oodseg.core.objects import encode_objects
from oodseg.core.overlay import COLOURS, draw_thumbnail

GREY = np.full((400, 800, 3), 90, np.uint8)


def objects(*boxes):
    masks = np.zeros((len(boxes), 400, 800), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return encode_objects(masks, boxes, np.linspace(0.9, 0.5, len(boxes)))


def near(image, colour):
    return np.abs(image.astype(int) - colour).max(axis=2) < 40


def test_size():
    assert draw_thumbnail(GREY, []).shape == (240, 480, 3)
    assert draw_thumbnail(GREY, [], 100).shape == (50, 100, 3)
    assert draw_thumbnail(GREY[:60, :90], []).shape == (60, 90, 3), "never enlarged"


def test_objects_are_outlined_in_their_colours():
    drawn = draw_thumbnail(GREY, objects((100, 100, 300, 300), (500, 100, 700, 300)))
    for colour, columns in zip(COLOURS, (slice(0, 240), slice(240, 480)), strict=False):
        seen = near(drawn, colour)
        assert seen[:, columns].sum() > 100
        assert not seen[
            :, [column for column in range(480) if column not in range(*columns.indices(480))]
        ].any()
    assert (drawn[20, 20] == 90).all()


def test_a_tiny_object_is_framed():
    drawn = draw_thumbnail(GREY, objects((400, 200, 404, 204)))
    rows, columns = np.nonzero(near(drawn, COLOURS[0]))
    assert np.ptp(rows) > 8
    assert np.ptp(columns) > 8
    assert (drawn[121, 241] == 90).all(), "what is framed stays visible"


def test_what_is_no_image():
    with pytest.raises(ImageError, match="uint8"):
        draw_thumbnail(GREY.astype(float), [])
