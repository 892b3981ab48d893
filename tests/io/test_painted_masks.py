import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ImageError
from oodseg.core.input_warnings import InputWarning
from oodseg.io.masks import half_as_bright, read_brightness, read_mask

PAINTED = np.zeros((20, 30), bool)
PAINTED[12:, :] = True


def grey(value, dtype=np.uint8):
    return Image.fromarray(PAINTED.astype(dtype) * dtype(value))


def palette(*colours):
    image = Image.fromarray(PAINTED.astype(np.uint8), "P")
    image.putpalette([side for colour in colours for side in colour])
    return image


def rgba(painted, elsewhere):
    return Image.fromarray(np.where(PAINTED[..., None], painted, elsewhere).astype(np.uint8), "RGBA")


@pytest.mark.parametrize(
    "image",
    [
        grey(255),
        grey(1),
        grey(65535, np.uint16),
        grey(1, np.uint16),
        grey(255).convert("1"),
        palette((0, 0, 0), (255, 255, 255)),
        palette((0, 0, 0), (1, 1, 1)),
        palette((0, 0, 0), (0, 0, 128)),
        grey(9).convert("RGB"),
        rgba((40, 0, 0, 255), (0, 0, 0, 255)),
        rgba((255, 255, 255, 255), (0, 0, 0, 0)),
        rgba((255, 255, 255, 255), (255, 255, 255, 0)),  # transparent white is not painted
        rgba((0, 200, 0, 60), (0, 0, 0, 0)),
    ],
)
def test_what_is_not_black_is_painted(tmp_path, image):
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), PAINTED)


def test_traces_of_compression_are_not_painted(tmp_path):
    painted = np.arange(60)[:, None].repeat(90, 1) >= 36
    Image.fromarray(painted.astype(np.uint8) * np.uint8(200)).save(tmp_path / "mask.jpg", quality=60)
    assert np.asarray(Image.open(tmp_path / "mask.jpg"))[:36].any(), "there are traces"
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.jpg"), painted)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("L", (20, 20), 255), "white all over"),
        (Image.new("L", (20, 2)), "too small"),
    ],
)
def test_masks_that_cannot_be_meant_are_refused(tmp_path, image, message):
    image.save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=rf"mask\.png is {message}"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("image", [Image.new("L", (20, 20)), Image.new("RGBA", (20, 20), (255, 0, 0, 0))])
def test_a_mask_in_which_nothing_is_painted_is_said(tmp_path, image):
    image.save(tmp_path / "mask.png")
    with pytest.warns(InputWarning, match=r"mask\.png is black all over"):
        assert not read_mask(tmp_path / "mask.png").any()


@pytest.mark.parametrize(
    ("values", "inside"),
    [([0, 127, 128, 255], [0, 0, 1, 1]), ([0, 1], [0, 1]), ([0, 100, 200], [0, 0, 1]), ([0, 0], [0, 0])],
)
def test_soft_edges_count_from_half_of_the_brightest(values, inside):
    assert half_as_bright(np.array(values, np.uint16)).tolist() == [bool(each) for each in inside]


def test_brightness_is_that_of_the_brightest_channel(tmp_path):
    rgba((10, 90, 20, 255), (200, 0, 0, 0)).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_brightness(tmp_path / "mask.png"), np.where(PAINTED, 90, 0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avif", {"quality": 10}),
        ("a.tif", {"compression": "jpeg", "quality": 10}),
        ("a.jpg", {"format": "MPO", "save_all": True, "append_images": [grey(255)], "quality": 10}),
    ],
)
def test_files_of_every_lossy_kind_leave_traces(tmp_path, name, options):
    drawn = np.zeros((64, 96), np.uint8)
    drawn[30:50, 20:60] = 255
    try:
        Image.fromarray(drawn).save(tmp_path / name, **options)
    except (KeyError, OSError):
        pytest.skip("this Pillow cannot write such a file")
    found = read_mask(tmp_path / name)
    assert np.count_nonzero(found != (drawn > 0)) < 0.02 * drawn.size
