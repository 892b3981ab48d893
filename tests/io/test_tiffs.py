"""TIFF files that Pillow cannot read: as images, uploads, labels and masks."""

import struct

import cv2
import numpy as np
import pytest

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.input_warnings import collect_warnings
from oodseg.io.images import read_header, read_image
from oodseg.io.labels import read_label
from oodseg.io.masks import read_mask
from oodseg.io.tiffs import read_tiff, read_tiff_header
from oodseg.io.uploads import decode_image, read_size

CODES = np.zeros((18, 26), np.uint8)
CODES[3:8, 2:20] = 1
CODES[12:, :5] = 255
TAGS = {"width": 256, "height": 257, "bits": 258, "orientation": 274, "channels": 277}


def tiff(order="<", big=False, **tags):
    """A TIFF of a directory alone."""
    entries = [(TAGS[name], value) for name, value in tags.items()]
    if big:
        head = struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, len(entries))
        body = b"".join(struct.pack(f"{order}HHQHxxxxxx", tag, 3, 1, value) for tag, value in entries)
    else:
        head = struct.pack(f"{order}HIH", 42, 8, len(entries))
        body = b"".join(struct.pack(f"{order}HHIHxx", tag, 3, 1, value) for tag, value in entries)
    return (b"II" if order == "<" else b"MM") + head + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_headers(order, big):
    found = read_tiff_header(tiff(order, big, width=30, height=20, bits=64, orientation=6, channels=3))
    assert (found.width, found.height, found.bits, found.orientation, found.channels) == (30, 20, 64, 6, 3)
    assert read_tiff_header(tiff(order, big, width=30, height=20, orientation=77)).orientation == 1


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0" + bytes(40), b"no TIFF", tiff(width=30)])
def test_broken_headers(data):
    assert read_tiff_header(data) is None
    assert read_tiff(data, "mine") is None


def test_kinds_and_sizes_that_are_refused():
    five = tiff(width=30, height=20, channels=5, bits=16)
    with pytest.raises(ImageError, match=r"mine is a TIFF of a kind .* \(5 channels of 16 bits\)"):
        read_tiff(five, "mine")
    for size in ({"width": 60000, "height": 60000}, {"width": 9, "height": 90}):
        with pytest.raises(ImageError, match="mine is too"):
            read_tiff(tiff(**size), "mine")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_labels_of_floats(tmp_path, dtype, channels):
    cv2.imwrite(str(tmp_path / "a.tif"), np.dstack([CODES] * channels).astype(dtype))
    np.testing.assert_array_equal(read_label(tmp_path / "a.tif"), CODES)
    cv2.imwrite(str(tmp_path / "b.tif"), np.dstack([CODES] * channels).astype(dtype) / 255)
    with pytest.raises(DatasetError, match=r"b\.tif holds numbers that are not codes"):
        read_label(tmp_path / "b.tif")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_coloured_and_truncated_labels_of_floats_are_refused(tmp_path, dtype):
    colours = np.dstack([CODES, CODES * 0, CODES]).astype(dtype)
    cv2.imwrite(str(tmp_path / "a.tif"), colours)
    with pytest.raises(DatasetError, match=r"a\.tif is a colour image"):
        read_label(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    assert read_tiff_header(data).end <= len(data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [0.3, 1, 255])
def test_masks_of_floats(tmp_path, dtype, channels, value):
    cv2.imwrite(str(tmp_path / "a.tif"), np.dstack([CODES > 0] * channels).astype(dtype) * value)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), CODES > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uploads_are_read_as_files_are(tmp_path, rng, dtype):
    cv2.imwrite(str(tmp_path / "a.tif"), rng.random((20, 30, 3)).astype(dtype))
    data = (tmp_path / "a.tif").read_bytes()
    assert read_size(data) == read_header(tmp_path / "a.tif").shape == (20, 30)
    np.testing.assert_array_equal(decode_image(data), read_image(tmp_path / "a.tif"))


def test_uploads_are_warned_of_as_files_are(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 30, 3), 4000, np.uint16))
    with collect_warnings(forward=False) as warned:
        decode_image((tmp_path / "a.png").read_bytes())
    assert len(warned) == 1
    assert warned[0].startswith("the image has 16 bits per channel and no value above")
