import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.synth import paste as module
from oodseg.synth.paste import Cutout, cut_out, harmonize, paste, rescale


class Plain:
    """A generator whose choices are known: no recolouring, no blur, always the smallest value."""

    def uniform(self, low=0.0, high=1.0):
        return low

    def random(self):
        return 0.999

    def normal(self, mean=0.0, std=1.0):
        return mean


def square(side=20, value=200, alpha=1.0):
    return Cutout(np.full((side, side, 3), value, np.uint8), np.full((side, side), alpha, np.float32))


def grey(height=60, width=80, value=50):
    return np.full((height, width, 3), value, np.uint8)


def test_opacity_zero_leaves_the_image(rng) -> None:
    image = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    scene = image.copy()
    covered = paste(scene, square(), 10, 10, rng, opacity=0.0)
    np.testing.assert_array_equal(scene, image)
    assert covered.any()


@pytest.mark.parametrize("opacity", [0.25, 0.5, 0.75, 1.0])
def test_the_formula_holds_inside(opacity) -> None:
    """x_oe = (1 - a) x_in + a x_out, S2M Eq. 3."""
    scene = grey()
    paste(scene, square(), 10, 20, Plain(), opacity)
    expected = int((1 - opacity) * 50 + opacity * 200 + 0.5)
    np.testing.assert_array_equal(scene[24:36, 14:26], np.full((12, 12, 3), expected, np.uint8))
    np.testing.assert_array_equal(scene[:20], grey()[:20])
    np.testing.assert_array_equal(scene[:, 30:], grey()[:, 30:])


def test_a_hole_in_the_mask_shows_the_scene() -> None:
    thing = square(40)
    thing.alpha[10:30, 10:30] = 0
    scene = grey()
    covered = paste(scene, thing, 5, 5, Plain())
    np.testing.assert_array_equal(scene[18:32, 18:32], grey()[18:32, 18:32])
    assert not covered[18:32, 18:32].any()


def test_covered_pixels_are_those_of_the_thing() -> None:
    covered = paste(grey(), square(20), 30, 10, Plain())
    expected = np.zeros((60, 80), bool)
    expected[10:30, 30:50] = True
    assert not (covered & ~expected).any()
    assert covered[11:29, 31:49].all()


@pytest.mark.parametrize(("left", "top", "inside"), [
    (-10, -10, np.s_[0:10, 0:10]),
    (70, 50, np.s_[50:60, 70:80]),
    (-5, 30, np.s_[30:50, 0:15]),
])  # fmt: skip
def test_what_falls_outside_is_cut_off(left, top, inside) -> None:
    scene = grey()
    covered = paste(scene, square(20), left, top, Plain())
    window = np.zeros((60, 80), bool)
    window[inside] = True
    assert covered.any()
    assert not (covered & ~window).any()
    assert (scene[~window] == 50).all()


@pytest.mark.parametrize(("left", "top"), [(-20, 0), (80, 0), (0, -18), (0, 60), (500, 500)])
def test_outside_the_image_nothing_happens(left, top) -> None:
    scene = grey()
    assert not paste(scene, square(20), left, top, Plain()).any()
    np.testing.assert_array_equal(scene, grey())


def test_a_shadow_only_darkens(rng) -> None:
    lit, shaded = grey(value=120), grey(value=120)
    paste(lit, square(20), 30, 20, np.random.default_rng(1))
    covered = paste(shaded, square(20), 30, 20, np.random.default_rng(1), shadow=0.5)
    below = np.s_[41:43, 34:46]
    assert (shaded[below] < lit[below]).all()
    assert (shaded[~covered].astype(int) <= lit[~covered]).all()


@given(seed=st.integers(0, 999), left=st.integers(-40, 90), top=st.integers(-40, 70))
@settings(max_examples=30, deadline=None)
def test_deterministic_and_unchanged_where_nothing_is_pasted(seed, left, top) -> None:
    runs = []
    for _ in range(2):
        scene = grey()
        runs.append((paste(scene, square(24), left, top, np.random.default_rng(seed), 0.9), scene))
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    rectangle = np.zeros((60, 80), bool)
    rectangle[max(top, 0) : max(top + 24, 0), max(left, 0) : max(left + 24, 0)] = True
    assert (runs[0][1][~rectangle] == 50).all()


def test_cut_out_is_the_rectangle_of_the_mask(rng) -> None:
    image = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
    mask = np.zeros((30, 40), bool)
    mask[5:15, 8:20] = True
    mask[5, 8] = False
    thing = cut_out(image, mask)
    np.testing.assert_array_equal(thing.image, image[5:15, 8:20])
    np.testing.assert_array_equal(thing.alpha, mask[5:15, 8:20].astype(np.float32))


@pytest.mark.parametrize("side", [0, 3])
def test_an_empty_or_tiny_mask_gives_no_thing(side) -> None:
    mask = np.zeros((30, 40), bool)
    mask[5 : 5 + side, 5 : 5 + side] = True
    assert cut_out(grey(30, 40), mask) is None


@pytest.mark.parametrize("long_side", [9, 40, 150])
def test_rescale_reaches_the_asked_size(long_side) -> None:
    thing = Cutout(grey(20, 40), np.ones((20, 40), np.float32))
    scaled = rescale(thing, long_side, Plain())
    assert scaled.alpha.shape == (max(4, round(long_side / 2)), long_side)
    assert scaled.image.shape == (*scaled.alpha.shape, 3)
    np.testing.assert_allclose(scaled.alpha, 1, rtol=1e-6)
    np.testing.assert_array_equal(scaled.image, 50)


def test_turning_keeps_the_area() -> None:
    image, alpha = module._turn(grey(40, 60), np.ones((40, 60), np.float32), 30)
    assert image.shape[:2] == alpha.shape
    assert alpha.sum() == pytest.approx(2400, rel=0.05)


def test_harmonize_moves_colours_towards_the_place() -> None:
    class Full(Plain):
        def uniform(self, low=0.0, high=1.0):
            return high

        def random(self):
            return 0.0

    thing, place = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8, 3), 100, np.uint8)
    alpha = np.ones((8, 8), np.float32)
    np.testing.assert_allclose(harmonize(thing, alpha, place, Full()), 200 + 0.6 * (100 - 200), atol=0.1)
    np.testing.assert_allclose(harmonize(thing, alpha, place, Plain()), 200, atol=0.1)
