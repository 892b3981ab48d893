import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from oodseg.core.errors import ImageError
from oodseg.io.images import Header, as_image, read_header, read_image, resize, to_tensor


@pytest.fixture
def noise(rng):
    return rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def saved(tmp_path, name, image, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_formats_come_back_exactly(tmp_path, noise, suffix):
    assert np.array_equal(read_image(saved(tmp_path, f"a.{suffix}", Image.fromarray(noise))), noise)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_come_back_closely(tmp_path, suffix):
    smooth = np.tile(np.arange(0, 240, 6, dtype=np.uint8), (24, 1))
    image = np.dstack([smooth, smooth[:, ::-1], smooth])
    found = read_image(saved(tmp_path, f"a.{suffix}", Image.fromarray(image), quality=95))
    assert found.shape == image.shape
    assert np.abs(found.astype(int) - image).mean() < 6


def test_the_name_does_not_matter(tmp_path, noise):
    path = saved(tmp_path, "a.png", Image.fromarray(noise))
    assert np.array_equal(read_image(path.rename(tmp_path / "a.jpg")), noise)


def test_grey_and_palette(tmp_path, noise):
    grey = read_image(saved(tmp_path, "grey.png", Image.fromarray(noise[:, :, 0])))
    assert np.array_equal(grey, np.dstack([noise[:, :, 0]] * 3))
    palette = Image.fromarray(noise).quantize(16)
    assert np.array_equal(read_image(saved(tmp_path, "p.png", palette)), np.asarray(palette.convert("RGB")))


def test_16_bit_grey(tmp_path):
    values = np.linspace(0, 65535, 24 * 40).reshape(24, 40).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    assert np.array_equal(read_image(tmp_path / "a.png")[:, :, 1], np.rint(values / 257.0))


def test_16_bit_colour(tmp_path, noise):
    cv2.imwrite(str(tmp_path / "a.png"), noise[:, :, ::-1].astype(np.uint16) * 257)
    assert np.array_equal(read_image(tmp_path / "a.png"), noise)


def test_transparency_lies_on_white(tmp_path, noise):
    alpha = np.full((24, 40, 1), 255, np.uint8)
    alpha[:12] = 0
    found = read_image(saved(tmp_path, "a.png", Image.fromarray(np.concatenate([noise, alpha], axis=2))))
    assert (found[:12] == 255).all()
    assert np.array_equal(found[12:], noise[12:])


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, np.rot90)],
)
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_orientation(tmp_path, noise, orientation, turn, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(noise), exif=exif)
    assert np.array_equal(read_image(path), turn(noise))
    assert read_header(path) == Header(24, 40, orientation)
    assert read_header(path).shape == turn(noise).shape[:2]


def test_the_size_comes_from_the_header(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(640, 480))
    assert read_header(tmp_path / "a.png") == Header(480, 640, 1)
    (tmp_path / "a.png").write_bytes(png_header(20_000, 20_000))
    with pytest.raises(ImageError, match=r"a\.png is too large"):
        read_header(tmp_path / "a.png")


def test_broken_exif_does_not_matter(tmp_path, noise):
    path = saved(tmp_path, "a.png", Image.fromarray(noise), exif=b"Exif\0\0rubbish")
    assert np.array_equal(read_image(path), noise)


def test_first_frame_of_several(tmp_path, noise):
    frames = [Image.fromarray(noise), Image.fromarray(255 - noise)]
    path = saved(tmp_path, "a.tiff", frames[0], save_all=True, append_images=frames[1:])
    assert np.array_equal(read_image(path), noise)


def test_float_tiff(tmp_path):
    values = np.linspace(0, 1, 24 * 40, dtype=np.float32).reshape(24, 40)
    found = read_image(saved(tmp_path, "a.tiff", Image.fromarray(values)))
    assert np.array_equal(found[:, :, 0], np.rint(values * 255))
    with pytest.raises(ImageError, match=r"b\.tiff holds floating-point pixels outside 0\.\.1"):
        read_image(saved(tmp_path, "b.tiff", Image.fromarray(values * 900)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_colour_tiff(tmp_path, noise, dtype):
    cv2.imwrite(str(tmp_path / "a.tiff"), noise[:, :, ::-1].astype(dtype) / 255)
    assert np.array_equal(read_image(tmp_path / "a.tiff"), noise)
    assert read_header(tmp_path / "a.tiff").shape == (24, 40)
    cv2.imwrite(str(tmp_path / "b.tiff"), noise.astype(dtype))
    with pytest.raises(ImageError, match=r"b\.tiff holds floating-point pixels outside 0\.\.1"):
        read_image(tmp_path / "b.tiff")
    cv2.imwrite(str(tmp_path / "c.tiff"), noise[:4].astype(dtype) / 255)
    with pytest.raises(ImageError, match=r"c\.tiff is too small"):
        read_image(tmp_path / "c.tiff")


def test_a_damaged_tiff_is_no_image(tmp_path):
    (tmp_path / "a.tiff").write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(ImageError, match=r"a\.tiff is not an image|broken header"):
        read_image(tmp_path / "a.tiff")


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"just text, whatever the name\n" * 9, "is not an image"),
        (png_header(1, 1), "too small .1x1"),
        (png_header(15, 4000), "too small .15x4000"),
        (png_header(20_000, 20_000), "too large .20000x20000"),
        (png_header(2**31 - 1, 2**31 - 1), "too large"),
        (png_header(64, 64), "truncated or damaged"),
        (png_header(64, 64)[:20], "is not an image|broken header"),
        (b"\xff\xd8\xff\xe0rubbish", "broken header|is not an image"),
        (b"GIF89a" + bytes(40), "is not an image"),
    ],
)
def test_bad_files_are_named_with_their_fault(tmp_path, data, words):
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=words) as error:
        read_image(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated_anywhere(tmp_path, noise, suffix, share):
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(noise))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"export it again|is not an image"):
        read_image(path)


def test_pillows_own_limit_is_left_as_it_was(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "a.png").write_bytes(png_header(20_000, 20_000))
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image(tmp_path / ("x" * 5000))
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="is a pipe or a device, not a file"):
        read_image(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name, target in (("link.jpg", "gone.jpg"), ("loop.jpg", "loop.jpg")):
        with pytest.raises(ImageError, match=f"{name} is a link to {target}, where no file is: mend"):
            read_image(tmp_path / name)


def test_as_image_takes_paths_pil_and_arrays(tmp_path, noise):
    path = saved(tmp_path, "a.png", Image.fromarray(noise))
    for image in (path, str(path), Image.fromarray(noise), noise):
        assert np.array_equal(as_image(image), noise)
    assert np.array_equal(as_image(noise[:, :, 0]), np.dstack([noise[:, :, 0]] * 3))
    assert as_image(noise[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((20, 20, 3)),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((1, 20, 20, 3), np.uint8),
        7,
        None,
        [1],
    ],
)
def test_as_image_refuses_the_rest(wrong):
    with pytest.raises(ImageError, match="uint8"):
        as_image(wrong)


def test_as_image_names_the_image():
    with pytest.raises(ImageError, match="frame 12 is too small"):
        as_image(np.zeros((8, 80, 3), np.uint8), "frame 12")


def test_to_tensor(noise):
    tensor = to_tensor(noise)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (3, 24, 40)
    assert np.allclose(tensor.permute(1, 2, 0).numpy() * 255, noise, atol=1e-4)


def test_resize_keeps_means_and_constants(rng):
    values = rng.random((40, 60), dtype=np.float32)
    assert np.allclose(resize(values, 20, 30), values.reshape(20, 2, 30, 2).mean((1, 3)), atol=1e-6)
    assert resize(values, 40, 60) is values
    assert np.allclose(resize(np.full((10, 10, 3), 7.0, np.float32), 33, 17), 7)
    assert resize(np.zeros((10, 10, 3), np.uint8), 5, 20).shape == (5, 20, 3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_tiff_of_floats_is_read_in_grey_and_in_colour(tmp_path, noise, dtype):
    for name, values in (("grey.tif", noise[..., 0]), ("colour.tif", noise[..., ::-1])):
        cv2.imwrite(str(tmp_path / name), values.astype(dtype) / 255)
    assert np.array_equal(read_image(tmp_path / "grey.tif"), np.dstack([noise[..., 0]] * 3))
    assert np.array_equal(read_image(tmp_path / "colour.tif"), noise)
