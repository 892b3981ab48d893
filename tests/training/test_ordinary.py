import pytest

from oodseg.training.ordinary import known_images
from training_data import make_training_data, street


@pytest.mark.parametrize(
    ("size", "zoom", "seen", "fits"),
    [
        ((48, 64), 1, (48, 64), 1),
        ((48, 64), 2, (48, 64), 1),  # too small to be looked at closer
        ((480, 1280), 1, (240, 640), 1),
        ((480, 1280), 2, (480, 1280), 2),
        ((480, 1278), 2, (240, 640), 1),
    ],
)
def test_ordinary_images_come_as_a_pipeline_shows_them(tmp_path, size, zoom, seen, fits):
    make_training_data(tmp_path)
    for each in (tmp_path / "camvid" / "val").rglob("*.*"):
        each.unlink()
    street(tmp_path / "camvid" / "val", "only", size, [3, 0], 1)
    image, found = next(known_images(tmp_path, zoom))
    assert (tuple(image.shape), found) == ((1, 3, *seen), fits)
    assert 0 <= image.min() < image.max() <= 1
