import numpy as np

from oodseg.synth.signs import draw_sign


def test_signs_fill_their_rectangle_and_differ() -> None:
    looks = set()
    for seed in range(60):
        sign = draw_sign(np.random.default_rng(seed))
        height, width = sign.alpha.shape
        assert sign.image.shape == (height, width, 3)
        assert (sign.image.dtype, sign.alpha.dtype) == (np.dtype(np.uint8), np.dtype(np.float32))
        assert 0 <= sign.alpha.min() <= sign.alpha.max() <= 1
        for edge in (sign.alpha[0], sign.alpha[-1], sign.alpha[:, 0], sign.alpha[:, -1]):
            assert edge.any()
        # Bright or dark against itself: a face with something on it, not one flat colour.
        assert sign.image[sign.alpha > 0.9].std() > 10
        looks.add((height, width))
    assert len(looks) > 20


def test_the_generator_decides_everything() -> None:
    first, second = (draw_sign(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.alpha, second.alpha)
