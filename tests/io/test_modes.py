"""Every mode of Pillow, and numbers of every kind, become RGB with 8 bits."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from oodseg.core.errors import ImageError
from oodseg.core.input_warnings import collect_warnings
from oodseg.io.images import as_image
from oodseg.io.modes import numbers_to_rgb


@pytest.fixture
def smooth():
    ramp = np.linspace(30, 220, 24 * 40).reshape(24, 40).astype(np.uint8)
    return Image.fromarray(np.dstack([ramp, ramp[::-1], np.full_like(ramp, 90)]))


def in_mode(image, mode):
    if mode == "LAB":
        rgb, lab = (ImageCms.createProfile(each) for each in ("sRGB", "LAB"))
        return ImageCms.profileToProfile(image, rgb, lab, outputMode="LAB")
    by = {"La": "LA", "PA": "P", "RGBa": "RGBA"}.get(mode)
    return (image.convert(by) if by else image).convert(mode)


@pytest.mark.parametrize(
    ("mode", "most"),
    [("RGBA", 0), ("RGBa", 0), ("RGBX", 0), ("CMYK", 0), ("YCbCr", 4), ("HSV", 8), ("LAB", 30), ("PA", 60)],
)
def test_colours(smooth, mode, most):
    found = as_image(in_mode(smooth, mode))
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - np.asarray(smooth)).max() <= most


@pytest.mark.parametrize("mode", ["L", "LA", "La"])
def test_greys(smooth, mode):
    expected = np.asarray(smooth.convert("L"))
    np.testing.assert_array_equal(as_image(in_mode(smooth, mode)), np.dstack([expected] * 3))


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa"])
def test_half_transparent_pixels_lie_on_white(mode):
    image = Image.new("LA", (20, 20), (100, 51)).convert("RGBA" if mode.startswith("RGB") else "LA")
    np.testing.assert_allclose(as_image(image.convert(mode)), 0.2 * 100 + 0.8 * 255, atol=2)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_grey_of_16_bits(smooth, mode):
    grey = np.asarray(smooth.convert("L"))
    data = (grey.astype(np.uint16) * 257).astype(">u2" if mode.endswith("B") else "<u2").tobytes()
    found = as_image(Image.frombytes(mode, smooth.size, data))
    np.testing.assert_array_equal(found, np.dstack([grey] * 3))


def test_floats_with_and_without_numbers():
    values = np.full((20, 20), 0.5, np.float32)
    values[3, 4] = np.nan
    with collect_warnings(forward=False) as warned:
        found = as_image(Image.fromarray(values), "mine")
    assert found[3, 4].tolist() == [0, 0, 0]
    assert found[0, 0].tolist() == [128, 128, 128]
    assert warned == ["mine: 1 of 400 numbers are NaN and count as black"]
    with pytest.raises(ImageError, match="mine holds no number but NaN"):
        as_image(Image.fromarray(values * np.nan), "mine")


def test_several_frames_and_12_bits_in_memory(tmp_path):
    frames = [Image.new("L", (20, 20), level) for level in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a.gif") as image:
        with collect_warnings(forward=False) as warned:
            assert as_image(image).max() == 10
        image.seek(1)
        with collect_warnings(forward=False) as chosen:
            assert as_image(image).min() == 200
    assert [each.split(",")[0] for each in warned] == ["the image holds 2 images"]
    assert chosen == []


@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 1), (20, 20, 3), (20, 20, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_numbers_of_every_kind(shape, dtype):
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    values = np.zeros(shape, dtype)
    values[..., -1] = white
    found = numbers_to_rgb(values, "mine")
    expected = {1: (255, 255, 255), 3: (255, 0, 0), 4: (0, 0, 0)}[shape[2] if len(shape) == 3 else 1]
    assert found[0, -1].tolist() == list(expected)  # the last channel of blue, green, red


def test_numbers_of_other_channels_are_refused():
    with pytest.raises(ImageError, match="mine has 5 channels: save it in grey or RGB"):
        numbers_to_rgb(np.zeros((20, 20, 5), np.uint8), "mine")
