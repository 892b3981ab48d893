import numpy as np
import pytest

from oodseg.synth.camera import shoot


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)


def test_shape_type_and_determinism(image) -> None:
    for seed in range(40):
        first, second = (shoot(image.copy(), np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == image.shape
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)


def test_shots_differ(image) -> None:
    shots = {shoot(image.copy(), np.random.default_rng(seed)).tobytes() for seed in range(10)}
    assert len(shots) == 10


def test_the_image_handed_in_stays(image) -> None:
    before = image.copy()
    for seed in range(10):
        shoot(image, np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before)


def test_what_is_where_stays() -> None:
    """A camera changes colours, not places: bright stays brighter than dark."""
    image = np.full((48, 64, 3), 60, np.uint8)
    image[:, 32:] = 190
    for seed in range(40):
        shot = shoot(image, np.random.default_rng(seed)).astype(float)
        assert shot[:, 40:].mean() > shot[:, :24].mean()
