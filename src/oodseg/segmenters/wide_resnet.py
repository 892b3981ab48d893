"""WideResNet-38 with pre-activation blocks at stride 8 (Wu et al., 2016, arXiv 1611.10080).

The variant "A2" of in-place activated batch norm (Rota Bulò et al., CVPR 2018), with ordinary batch norm, as
NVIDIA's segmentation networks use it (Zhu et al., CVPR 2019). Attributes are named as in their checkpoints;
sizes are multiples of the first convolution's channels, 64 in all of these.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

# Of every module from the second on: its blocks, the channels of their convolutions as multiples of the
# width, stride and dilation. Blocks of three convolutions are bottlenecks.
_MODULES = (
    (3, (2, 2), 1, 1),
    (3, (4, 4), 1, 1),
    (6, (8, 8), 2, 1),
    (3, (8, 16), 1, 2),
    (1, (8, 16, 32), 1, 4),
    (1, (16, 32, 64), 1, 4),
)


class _Block(nn.Module):
    """Normalises, then convolves, and adds a shortcut that is projected where the channels change."""

    def __init__(self, inside: int, channels: Sequence[int], stride: int, dilation: int) -> None:
        super().__init__()
        kernels = (3, 3) if len(channels) == 2 else (1, 3, 1)
        self.bn1 = _norm_relu(inside)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = inside
        for index, (kernel, outside) in enumerate(zip(kernels, channels, strict=True), start=1):
            if index > 1:
                layers[f"bn{index}"] = _norm_relu(before)
            spread = dilation if kernel == 3 else 1
            layers[f"conv{index}"] = nn.Conv2d(
                before,
                outside,
                kernel,
                stride if index == 1 else 1,
                padding=spread * (kernel // 2),
                dilation=spread,
                bias=False,
            )
            before = outside
        self.convs = nn.Sequential(layers)
        self.proj_conv: nn.Module | None = None
        if stride != 1 or inside != before:
            self.proj_conv = nn.Conv2d(inside, before, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.bn1(x)
        shortcut = x if self.proj_conv is None else self.proj_conv(activated)
        return self.convs(activated) + shortcut  # type: ignore[no-any-return]


class WideResNet38(nn.Module):
    """Image to features at strides 2 and 8.

    Args:
        width: Channels of the first convolution; the last block has 64 times as many.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.mod1 = nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, width, 3, padding=1, bias=False)))
        before = width
        for number, (count, multiples, stride, dilation) in enumerate(_MODULES, start=2):
            channels = [width * each for each in multiples]
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for index in range(count):
                blocks[f"block{index + 1}"] = _Block(before, channels, stride if index == 0 else 1, dilation)
                before = channels[-1]
            self.add_module(f"mod{number}", nn.Sequential(blocks))

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes fine and coarse features.

        Args:
            images: Float `[B, 3, H, W]`, normalised, any size.

        Returns:
            Float `[B, 2 * width, H / 2, W / 2]` and `[B, 64 * width, H / 8, W / 8]`, rounded up.
        """
        fine = self.get_submodule("mod2")(_halved(self.mod1(images)))
        coarse = _halved(fine)
        for number in range(3, 8):
            coarse = self.get_submodule(f"mod{number}")(coarse)
        return fine, coarse


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _halved(maps: Tensor) -> Tensor:
    return F.max_pool2d(maps, 3, stride=2, padding=1)
