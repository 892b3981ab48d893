"""Images that come as bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ImageError
from oodseg.io.formats import UnknownFormatError
from oodseg.io.uploads import TooManyPixelsError, decode_image, read_size
from run_helpers import png_header


def encoded(image, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", **options)
    return buffer.getvalue()


def test_pixels_come_back_upright(rng) -> None:
    image = rng.integers(0, 255, (24, 40, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encoded(image)), image)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert np.array_equal(decode_image(encoded(image, exif=exif)), np.rot90(image, -1))
    assert read_size(encoded(image)) == (24, 40)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", ImageError, "empty"),
        (b"text" * 9, UnknownFormatError, "mine is not an image"),
        (png_header(20_000, 20_000), TooManyPixelsError, "20000x20000"),
        (png_header(8, 400), ImageError, "too small"),
        (png_header(64, 64), ImageError, "truncated or damaged"),
    ],
)
def test_what_cannot_be_used(data, error, words) -> None:
    with pytest.raises(error, match=words):
        decode_image(data, "mine")


def test_the_limit_can_be_lower() -> None:
    with pytest.raises(TooManyPixelsError, match="at most 1,000 are"):
        read_size(encoded(np.zeros((40, 40, 3), np.uint8)), max_pixels=1000)
