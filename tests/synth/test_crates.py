import numpy as np
import pytest

from oodseg.synth.crates import cut_rectangle, draw_crate


def texture(seed: int = 0, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    return np.random.default_rng(seed).integers(30, 220, (*size, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (60, 80), (16, 300)])
def test_crates_fill_their_rectangle_and_differ(size) -> None:
    looks, filled = set(), []
    for seed in range(60):
        crate = draw_crate(texture(seed, size), np.random.default_rng(seed))
        height, width = crate.alpha.shape
        assert crate.image.shape == (height, width, 3)
        assert (crate.image.dtype, crate.alpha.dtype) == (np.dtype(np.uint8), np.dtype(np.float32))
        assert set(np.unique(crate.alpha)) <= {0.0, 1.0}
        assert min(height, width) >= 16
        for edge in (crate.alpha[0], crate.alpha[-1], crate.alpha[:, 0], crate.alpha[:, -1]):
            assert edge.any()
        assert not crate.image[crate.alpha == 0].any()
        looks.add((height, width))
        filled.append(crate.alpha.mean())
    assert len(looks) > 40
    # Boards fill their rectangle; crates seen from a side do not.
    assert max(filled) > 0.95
    assert 0.5 < min(filled) < 0.9


def test_boards_have_one_face_and_crates_are_lit_from_above() -> None:
    """On a texture of one grey, faces differ by their light alone."""
    grey = np.full((60, 80, 3), 120, np.uint8)
    shades = []
    for seed in range(40):
        crate = draw_crate(grey, np.random.default_rng(seed))
        inside = crate.image[crate.alpha > 0][:, 0]
        levels = np.bincount(inside // 20, minlength=13) > 0.02 * len(inside)
        shades.append(int(levels.sum()))
    assert shades.count(1) > 4
    assert sum(each > 1 for each in shades) > 15


def test_the_generator_decides_everything() -> None:
    first, second = (draw_crate(texture(), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.alpha, second.alpha)


def test_the_texture_is_left_as_it_was() -> None:
    given = texture()
    before = given.copy()
    for seed in range(10):
        draw_crate(given, np.random.default_rng(seed))
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("size", [(16, 16), (60, 80), (16, 300)])
def test_rectangles_are_parts_of_their_image(size) -> None:
    image = texture(0, size)
    windows = {image[y : y + 8, x : x + 8].tobytes() for y in range(size[0] - 7) for x in range(size[1] - 7)}
    shapes = set()
    for seed in range(20):
        cut = cut_rectangle(image, np.random.default_rng(seed))
        assert cut.alpha.shape == cut.image.shape[:2]
        assert (cut.alpha == 1).all()
        assert cut.image[:8, :8].tobytes() in windows
        shapes.add(cut.alpha.shape)
    assert len(shapes) > 1 or size == (16, 16)
