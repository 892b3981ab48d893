import io

import cv2
import numpy as np

from oodseg.core.encoding import encode_jpeg, encode_numbers, encode_png


def test_png_bytes_come_back(rng):
    for values in (
        rng.integers(0, 256, (9, 7), dtype=np.uint8),
        rng.integers(0, 256, (9, 7, 3), dtype=np.uint8),
        rng.integers(0, 65536, (9, 7), dtype=np.uint16),
    ):
        found = cv2.imdecode(np.frombuffer(encode_png(values), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(found[:, :, ::-1] if values.ndim == 3 else found, values)


def test_jpeg_is_near_and_in_rgb_order():
    image = np.full((16, 24, 3), (200, 60, 20), np.uint8)
    found = cv2.imdecode(np.frombuffer(encode_jpeg(image, 95), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(found[:, :, ::-1].astype(int) - image).max() < 4


def test_confidence_as_png_and_npy():
    values = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    png = cv2.imdecode(np.frombuffer(encode_numbers(values, "png"), np.uint8), cv2.IMREAD_UNCHANGED)
    assert png.tolist() == [[0, 32768], [65535, 16384]]
    assert np.array_equal(np.load(io.BytesIO(encode_numbers(values, "npy"))), values)
