"""Colours of 16 bits, in labels, masks and images."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from oodseg.core.input_warnings import collect_warnings
from oodseg.io.images import read_image
from oodseg.io.labels import read_label
from oodseg.io.masks import read_mask

CODES = np.zeros((18, 26), np.uint16)
CODES[3:8, 2:20] = 1
CODES[12:, :5] = 255


def with_exif(path, orientation):
    """Puts an orientation into a PNG, which OpenCV cannot write."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("L", (1, 1)).save(path.with_name("small.png"), exif=exif)
    small, data = path.with_name("small.png").read_bytes(), path.read_bytes()
    start = small.index(b"eXIf") - 4
    chunk = small[start : small.index(b"IDAT") - 4]
    place = data.index(b"IDAT") - 4
    path.write_bytes(data[:place] + chunk + data[place:])
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_label_is_turned_as_one_of_8_bits_is(tmp_path, orientation):
    cv2.imwrite(str(tmp_path / "wide.png"), np.dstack([CODES] * 3))
    cv2.imwrite(str(tmp_path / "narrow.png"), CODES.astype(np.uint8))
    wide, narrow = (with_exif(tmp_path / f"{name}.png", orientation) for name in ("wide", "narrow"))
    with Image.open(narrow) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_label(wide), expected)
    np.testing.assert_array_equal(read_label(narrow), expected)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("value", [1, 300, 65535])
def test_a_mask_is_painted_where_its_lower_bits_are(tmp_path, suffix, value):
    painted = CODES > 0
    colours = np.zeros((*CODES.shape, 3), np.uint16)
    colours[painted, 1] = value
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), colours)
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}"), painted)
    alpha = np.dstack([np.full_like(colours, value), np.where(painted, 65535, 0).astype(np.uint16)])
    cv2.imwrite(str(tmp_path / f"b.{suffix}"), alpha)
    np.testing.assert_array_equal(read_mask(tmp_path / f"b.{suffix}"), painted)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("brightest", [255, 4095, 40000])
def test_images_that_fill_12_of_16_bits_are_called_dark(tmp_path, channels, brightest):
    values = np.full((18, 26, channels), brightest, np.uint16)
    if channels == 4:
        values[..., 3] = 65535
    cv2.imwrite(str(tmp_path / "a.png"), values)
    with collect_warnings(forward=False) as warned:
        read_image(tmp_path / "a.png")
    assert len(warned) == (brightest < 4096)
    assert all("a.png has 16 bits per channel and no value above" in each for each in warned)
