"""Defines the convolutional blocks of the compact networks.

Attributes are named as in the shipped weights; renaming one makes these unreadable.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm(
    inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Builds a convolution that keeps the size at stride 1, and its batch normalisation.

    Args:
        inside: Input channels.
        outside: Output channels.
        kernel: Side of the kernel, odd.
        stride: Stride of the kernel.
        dilation: Dilation of the kernel.
    """
    return nn.Sequential(*_conv_norm(inside, outside, kernel, stride, dilation))


def conv_norm_relu(
    inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Builds `conv_norm` followed by a ReLU."""
    return nn.Sequential(*_conv_norm(inside, outside, kernel, stride, dilation), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two 3x3 convolutions with a residual shortcut (He et al., CVPR 2016).

    Args:
        inside: Input channels.
        outside: Output channels.
        stride: Stride of the first convolution.
        dilation: Of both convolutions.
    """

    def __init__(self, inside: int, outside: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = conv_norm_relu(inside, outside, 3, stride, dilation)
        self.second = conv_norm(outside, outside, 3, 1, dilation)
        same = stride == 1 and inside == outside
        self.skip: nn.Module = nn.Identity() if same else conv_norm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, inside, H, W]` to `[B, outside, H / stride, W / stride]`."""
        return F.relu(self.skip(x) + self.second(self.first(x)))


def _conv_norm(inside: int, outside: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(inside, outside, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outside),
    ]
