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


@pytest.mark.parametrize("header", [b"", b"\0\0\0\x18ftypmp42", b"not an image"])
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
