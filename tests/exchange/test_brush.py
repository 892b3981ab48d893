import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_cases import ring, stripe

from oodseg.exchange.brush import decode, encode


def bits(*fields):
    """Packs `(value, size)` pairs, the highest bit first."""
    text = "".join(f"{value:0{size}b}" for value, size in fields)
    text += "0" * (-len(text) % 8)
    return [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]


HEADER = ((7, 5), (2, 4), (3, 4), (7, 4), (15, 4))


def test_the_stream_is_as_label_studio_defines_it():
    mask = np.array([[True, False, False]])
    # One pixel is four values: a run of 4, and a run of 8, both with a length of 3 bits.
    expected = bits((12, 32), *HEADER, (1, 1), (0, 2), (3, 3), (255, 8), (1, 1), (0, 2), (7, 3), (0, 8))
    assert encode(mask) == expected
    assert (decode(expected, 1, 3) == mask).all()


def test_values_one_by_one_and_soft_edges():
    values = [9, 9, 9, 127, 9, 9, 9, 128, 9, 9, 9, 255]
    stream = bits((12, 32), *HEADER, (0, 1), (1, 2), (11, 4), *((value, 8) for value in values))
    assert decode(stream, 1, 3).tolist() == [[False, True, True]]


def test_long_runs_are_split():
    mask = np.zeros((400, 300), bool)
    mask[:, 0] = mask[-1] = True
    assert (decode(encode(mask), 400, 300) == mask).all()
    assert not decode(encode(np.zeros((400, 300), bool)), 400, 300).any()


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays.arrays(bool, shape)))
@settings(deadline=None)
def test_every_mask_comes_back(mask):
    assert (decode(encode(mask), *mask.shape) == mask).all()


@pytest.mark.parametrize(
    ("stream", "word"),
    [
        (encode(np.ones((2, 2), bool)), "not 3x1 pixels"),
        (encode(np.ones((1, 3), bool))[:-1], "ends before its last pixel"),
        (bits((12, 32), (15, 5)), "16 bits|ends before"),
        ([], "ends before"),
    ],
)
def test_a_broken_stream_is_an_error(stream, word):
    with pytest.raises(ValueError, match=word):
        decode(stream, 1, 3)


@pytest.mark.parametrize("mask", [ring(3, 5, 12), stripe(), np.zeros((40, 60), bool)])
def test_label_studios_own_converter_agrees(mask):
    own = pytest.importorskip("label_studio_converter.brush")
    assert (own.decode_rle(encode(mask)).reshape(40, 60, 4)[:, :, 3] > 0).tobytes() == mask.tobytes()
    written = own.encode_rle(np.repeat(mask[:, :, None], 4, 2).ravel().astype(np.uint8) * 255)
    assert (decode(written, 40, 60) == mask).all()
