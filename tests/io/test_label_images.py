"""The code of a pixel is the same however a PNG stores it."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import oodseg.io.labels as module
from oodseg.core.errors import DatasetError
from oodseg.io.labels import read_label, whole_numbers

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types of PNG
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def write_png(path, samples, depth, kind, palette=None):
    """Writes samples `[H, W]` or `[H, W, C]` as they are, in any depth: no library would."""
    height, width = samples.shape[:2]
    bits = np.zeros((height, width * CHANNELS[kind], depth), np.uint8)
    for bit in range(depth):
        bits[..., depth - 1 - bit] = (samples.reshape(height, -1) >> bit) & 1
    rows = np.packbits(bits.reshape(height, -1), axis=1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", bytes(np.asarray(palette, np.uint8).ravel())))
    chunks.append((b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))))
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, data in [*chunks, (b"IEND", b"")]:
            checksum = struct.pack(">I", zlib.crc32(name + data))
            file.write(struct.pack(">I", len(data)) + name + data + checksum)
    return path


def codes(*listed, size=(18, 20)):
    """A label whose columns take the codes in turn."""
    return np.array(listed, np.uint16)[np.arange(size[1]) * len(listed) // size[1]][None].repeat(size[0], 0)


VOID = codes(0, 255)
ANOMALY = codes(0, 1, 255)


@pytest.mark.parametrize(
    ("samples", "depth", "kind", "palette", "expected"),
    [
        (ANOMALY, 8, GREY, None, ANOMALY),
        # What optimisers make of a grey image: fewer bits, or a palette of its greys.
        (codes(0, 1), 1, GREY, None, VOID),
        (codes(0, 3), 2, GREY, None, VOID),
        (codes(0, 15), 4, GREY, None, VOID),
        (codes(0, 1), 1, PALETTE, [(0, 0, 0), (255, 255, 255)], VOID),
        (codes(0, 1, 2), 2, PALETTE, [(0, 0, 0), (1, 1, 1), (255, 255, 255)], ANOMALY),
        (codes(2, 0, 1), 4, PALETTE, [(1, 1, 1), (255, 255, 255), (0, 0, 0)], ANOMALY),
        (codes(0), 1, PALETTE, [(7, 7, 7)], codes(7)),
        # What labelling tools write: classes with colours.
        (codes(0, 1, 3), 8, PALETTE, [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)], codes(0, 1, 3)),
        (codes(0, 1), 1, PALETTE, [(0, 0, 0), (255, 0, 0)], codes(0, 1)),
        # No colours, and no greys either.
        (codes(0, 1, 2), 8, PALETTE, np.zeros((256, 3)), codes(0, 1, 2)),
        # Copies of grey.
        (ANOMALY[..., None].repeat(3, 2), 8, RGB, None, ANOMALY),
        (np.dstack([ANOMALY, ANOMALY, ANOMALY, codes(255)]), 8, RGBA, None, ANOMALY),
        (np.dstack([ANOMALY, codes(255)]), 8, GREY_ALPHA, None, ANOMALY),
        (np.dstack([ANOMALY, ANOMALY, ANOMALY, codes(0, 255, 255)]), 8, RGBA, None, ANOMALY),
        (ANOMALY[..., None].repeat(3, 2), 16, RGB, None, ANOMALY),
        (np.dstack([ANOMALY, codes(65535)]), 16, GREY_ALPHA, None, ANOMALY),
        # 16 bits: codes as they are, or 8 bits copied into both bytes.
        (ANOMALY, 16, GREY, None, ANOMALY),
        (codes(0, 7, 26001), 16, GREY, None, codes(0, 7, 26001)),
        (codes(0, 257, 65535), 16, GREY, None, ANOMALY),
    ],
)
def test_a_code_does_not_depend_on_how_a_png_stores_it(tmp_path, samples, depth, kind, palette, expected):
    found = read_label(write_png(tmp_path / "a.png", samples, depth, kind, palette))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_void_stays_void_in_every_mode_of_pillow(tmp_path, mode):
    image = Image.fromarray(VOID.astype(np.uint8))
    # Pillow clips to 255 where it makes 16 bits of 8.
    (Image.fromarray(VOID) if mode == "I;16" else image.convert(mode)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png"), VOID)


def test_codes_stored_as_floats_are_whole_numbers_again(tmp_path):
    Image.fromarray(ANOMALY.astype(np.float32) + 1e-4).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_label(tmp_path / "a.tif"), ANOMALY)
    Image.fromarray(ANOMALY.astype(np.float32) * 0.4).save(tmp_path / "a.tif")
    with pytest.raises(DatasetError, match=r"a\.tif holds numbers that are not codes"):
        read_label(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("values", "largest", "whole"),
    [([0.0009, 1.9991], 255, [0, 2]), ([0.002], 255, None), ([-1.0], 255, None), ([255.0004], 255, [255]),
     ([256.0], 255, None), ([np.nan], 255, None), (np.array([3], np.int16), 255, [3]),
     (np.array([-3], np.int16), 255, None)],
)  # fmt: skip
def test_numbers_that_are_nearly_whole(values, largest, whole):
    found = whole_numbers(np.asarray(values), largest)
    assert found is None if whole is None else found.tolist() == whole


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_label_is_turned_like_its_image(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ANOMALY.astype(np.uint8)).save(tmp_path / f"a.{suffix}", exif=exif)
    np.testing.assert_array_equal(read_label(tmp_path / f"a.{suffix}"), np.rot90(ANOMALY, -1))


def colour(path):
    Image.fromarray(np.dstack([ANOMALY, codes(0), ANOMALY]).astype(np.uint8)).save(path)


def transparent(path):
    Image.fromarray(np.dstack([ANOMALY, codes(255, 0, 0)]).astype(np.uint8), "LA").save(path)


def jpeg(path):
    Image.fromarray(ANOMALY.astype(np.uint8)).save(path, format="JPEG")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (colour, r"a\.png is a colour image"),
        (transparent, r"a\.png is transparent where it holds codes"),
        (jpeg, r"a\.png is a JPEG"),
        (lambda path: path.write_bytes(b""), r"a\.png is empty \(0 bytes\): unpack the set again"),
        (lambda path: path.write_text("text"), r"a\.png is not an image, whatever its name says: save it"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), r"a\.png (cannot be read|is not an image)"),
        (lambda path: None, r"a\.png is missing"),
    ],
)
def test_what_is_no_label_is_refused_in_a_sentence(tmp_path, write, message):
    write(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=message):
        read_label(tmp_path / "a.png")


def test_a_label_beyond_every_limit_is_refused_in_a_sentence(tmp_path, monkeypatch):
    Image.fromarray(ANOMALY.astype(np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # below the image: Pillow itself would raise
    assert read_label(tmp_path / "a.png").shape == ANOMALY.shape
    monkeypatch.setattr(module, "MAX_PIXELS", 100)
    with pytest.raises(DatasetError, match=r"a\.png is too large \(20x18 pixels"):
        read_label(tmp_path / "a.png")


def test_a_tiff_with_the_compression_of_jpeg_is_refused(tmp_path):
    Image.fromarray(ANOMALY.astype(np.uint8)).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    with pytest.raises(DatasetError, match=r"a\.tif is a TIFF with JPEG compression, which changes codes"):
        read_label(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(18, [0, 1, 12]), (300, [0, 1, 12]), (4095, [0, 1, 12]), (255, [0, 1, 12]), (65535, [0, 1, 12])],
)
@pytest.mark.parametrize("plain", [False, True])
def test_codes_of_pgm_files_are_their_numbers(tmp_path, largest, expected, plain):
    values = codes(*expected)
    if plain:
        data = " ".join(map(str, values.ravel())).encode()
    else:
        data = values.astype(">u2" if largest > 255 else np.uint8).tobytes()
    path = tmp_path / "a.pgm"
    path.write_bytes(f"P{2 if plain else 5} 20 18 {largest}\n".encode() + data)
    np.testing.assert_array_equal(read_label(path), values)


def test_a_pgm_of_few_bits_holds_greys_as_viewers_show_them(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 20 18 1\n" + codes(0, 1).astype(np.uint8).tobytes())
    np.testing.assert_array_equal(read_label(tmp_path / "a.pgm"), VOID)
