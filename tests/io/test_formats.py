import numpy as np
import pytest
from PIL import Image

import oodseg.io.formats
from oodseg.core.errors import ImageError
from oodseg.io.formats import is_readable, missing_decoder, pillow_formats
from oodseg.io.images import read_image

PIXELS = np.full((32, 48, 3), (200, 40, 90), np.uint8)


@pytest.mark.parametrize(
    ("suffix", "as_format"),
    [
        (".jfif", "JPEG"),
        (".jpe", "JPEG"),
        (".gif", "GIF"),
        (".avif", "AVIF"),
        (".pnm", "PPM"),
        (".heic", "HEIF"),
    ],
)
def test_a_file_of_every_suffix_is_read(tmp_path, suffix, as_format):
    assert is_readable(suffix)
    assert as_format in pillow_formats()
    Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", as_format)
    found = read_image(tmp_path / f"a{suffix}")
    assert found.shape == PIXELS.shape
    assert np.abs(found.astype(int) - PIXELS).max() < 12


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    first, second = Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert np.abs(read_image(tmp_path / "a.gif").astype(int) - PIXELS).max() < 12


@pytest.mark.parametrize(
    ("brand", "words"), [(b"heic", "[heif]"), (b"mif1", "[heif]"), (b"avif", "Pillow 11.3")]
)
def test_a_missing_decoder_is_named(tmp_path, monkeypatch, brand, words):
    header = b"\0\0\0\x18ftyp" + brand + b"\0" * 64
    assert missing_decoder(header) is not None
    assert "damaged" in missing_decoder(header)  # for all of them can be read here
    for module in ("images", "formats"):
        monkeypatch.setattr(f"oodseg.io.{module}.pillow_formats", lambda: ("JPEG",))
    assert words in missing_decoder(header)
    (tmp_path / "IMG_2.HEIC").write_bytes(header)
    with pytest.raises(ImageError, match=r"IMG_2.HEIC is an? ") as error:
        read_image(tmp_path / "IMG_2.HEIC")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"\0\0\0\x18ftypmp42", "a.jpg is a video: give it to `oodseg predict` alone"),
        (b"\x1a\x45\xdf\xa3webm", "a.jpg is a video: give it"),
        (b"RIFF\0\0\0\0AVI LIST", "a.jpg is a video: give it"),
        (b"%PDF-1.7", "a.jpg is a PDF file: save its pages as images"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, header, words):
    (tmp_path / "a.jpg").write_bytes(header + b"\0" * 20)
    with pytest.raises(ImageError, match=words):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("header", [b"", b"RIFF\0\0\0\0WAVE", b"not an image"])
def test_other_files_miss_no_decoder(header):
    assert missing_decoder(header) is None


def test_without_its_library_heic_is_not_read(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    oodseg.io.formats.reads_heif.cache_clear()
    try:
        assert not is_readable(".heic")
        assert is_readable(".avif")
    finally:
        oodseg.io.formats.reads_heif.cache_clear()
