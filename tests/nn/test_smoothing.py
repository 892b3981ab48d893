import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter

from oodseg.nn.smoothing import gaussian_blur


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("mirror", "mode"), [(False, "nearest"), (True, "mirror")])
@pytest.mark.parametrize("shape", [(2, 20, 31), (1, 2, 1)])
def test_against_scipy(rng, sigma, mirror, mode, shape) -> None:
    score = rng.normal(size=shape)
    expected = [gaussian_filter(each, sigma, radius=round(3 * sigma), mode=mode) for each in score]
    found = gaussian_blur(torch.from_numpy(score), sigma, mirror=mirror)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_mirrored_as_in_torchvision() -> None:
    from torchvision.transforms import GaussianBlur

    score = torch.randn(1, 9, 12)
    torch.testing.assert_close(gaussian_blur(score, 1.0, mirror=True), GaussianBlur(7, sigma=1)(score))


def test_sigma_one_is_the_seven_by_seven_kernel() -> None:
    peak = torch.zeros(1, 15, 15)
    peak[0, 7, 7] = 1
    assert int((gaussian_blur(peak, 1.0) > 0).sum()) == 49


@pytest.mark.parametrize("dilation", [2, 6])
def test_dilated_against_a_kernel_with_holes(rng, dilation) -> None:
    score = rng.normal(size=(40, 50))
    taps = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    kernel = np.zeros((6 * dilation + 1,) * 2)
    kernel[::dilation, ::dilation] = np.outer(taps, taps) / taps.sum() ** 2
    expected = convolve(score, kernel, mode="nearest")
    found = gaussian_blur(torch.from_numpy(score)[None], 1.0, dilation)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_a_flat_map_stays_flat() -> None:
    flat = torch.full((1, 9, 12), 3.5)
    torch.testing.assert_close(gaussian_blur(flat, 1.0, 4), flat)
