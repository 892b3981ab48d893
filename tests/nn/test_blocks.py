import pytest
import torch
from torch.nn import functional as F

from oodseg.nn.blocks import Residual, conv_norm, conv_norm_relu


def images(channels=3):
    return torch.randn(2, channels, 9, 14, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (1, 2, 1), (3, 1, 4), (5, 1, 1)]
)
def test_convolutions_keep_the_size_but_for_the_stride(kernel, stride, dilation):
    block = conv_norm(3, 4, kernel, stride, dilation).eval()
    assert block(images()).shape == (2, 4, -(-9 // stride), -(-14 // stride))


def test_relu_follows_the_normalisation():
    plain, cut = conv_norm(3, 4).eval(), conv_norm_relu(3, 4).eval()
    cut.load_state_dict(plain.state_dict())
    torch.testing.assert_close(cut(images()), plain(images()).relu(), rtol=0, atol=0)
    assert (plain(images()) < 0).any()


@pytest.mark.parametrize(("inside", "outside", "stride"), [(3, 3, 1), (3, 5, 1), (3, 3, 2)])
def test_a_residual_is_the_sum_of_two_ways(inside, outside, stride):
    block = Residual(inside, outside, stride).eval()
    x = images(inside)
    first = F.relu(F.conv2d(x, block.first[0].weight, stride=stride, padding=1) / (1 + 1e-5) ** 0.5)
    second = F.conv2d(first, block.second[0].weight, padding=1) / (1 + 1e-5) ** 0.5
    beside = x
    if (inside, stride) != (outside, 1):
        beside = F.conv2d(x, block.skip[0].weight, stride=stride) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), F.relu(second + beside))


def test_names_of_the_shipped_weights():
    names = {name for name, _ in Residual(3, 4).named_parameters()}
    assert names == {f"{way}.{k}.{kind}" for way in ("first", "second", "skip") for k, kind in
                     ((0, "weight"), (1, "weight"), (1, "bias"))}  # fmt: skip
    assert not [name for name in Residual(3, 3).state_dict() if name.startswith("skip")]
