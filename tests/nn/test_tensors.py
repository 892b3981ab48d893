import pytest
import torch
from torch.nn import functional as F

from oodseg.nn.tensors import resize, resize_scores, to_multiple


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(9, 14), (3, 4), (6, 20), [7, 8]])
def test_resizing_is_torch_s_bilinear(size, antialias):
    maps = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=antialias)
    torch.testing.assert_close(resize(maps, size, antialias=antialias), expected, rtol=0, atol=0)
    one = F.interpolate(maps[:, :1], size, mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(resize_scores(maps[:, 0], size), one, rtol=0, atol=0)


def test_pixels_are_areas():
    """The middles of the two halves lie a quarter of a pixel from the middle of the old one's."""
    assert resize(torch.tensor([[[[0.0, 4.0]]]]), (1, 4)).flatten().tolist() == [0, 1, 3, 4]


def test_what_has_the_size_already_is_handed_back():
    maps = torch.full((1, 1, 4, 6), -torch.inf)
    assert resize(maps, maps.shape[-2:]) is maps
    assert to_multiple(maps, 2) is maps


@pytest.mark.parametrize(
    ("size", "multiple", "expected"),
    [((33, 64), 32, (64, 64)), ((1, 1), 8, (8, 8)), ((16, 17), 1, (16, 17)), ((15, 17), 5, (15, 20))],
)
def test_sides_become_multiples(size, multiple, expected):
    assert to_multiple(torch.zeros(1, 3, *size), multiple).shape[-2:] == expected
