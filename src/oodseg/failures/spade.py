"""Label map to image: a compact generator with spatially-adaptive normalisation.

After SPADE (Park et al., CVPR 2019, arXiv 1903.07291), as SynthCP uses it: no style, no instances, one-hot
labels. What differs, for the sake of two CPU cores: a block narrows its channels before it doubles the
resolution, shortcuts are plain 1x1 convolutions, and coarse levels see the share of every class in a cell
instead of one pixel's class.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned

WIDTHS = (256, 192, 128, 96, 48, 24)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Encodes labels as one plane per class.

    Args:
        labels: Integers `[B, H, W]`; whatever lies outside 0..C-1 is no class and all zero.
        classes: Number of classes C.

    Returns:
        Float32 `[B, C, H, W]` of zeros and ones.
    """
    known = torch.arange(classes, device=labels.device).view(1, -1, 1, 1)
    return (labels[:, None].long() == known).float()


def working_size(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Returns the height and width at which a network of this room looks at an image.

    The short side becomes `short_side`, the long one follows; both are rounded to the multiple.
    """
    scale = short_side / min(height, width)
    found = [max(multiple, round(side * scale / multiple) * multiple) for side in (height, width)]
    return found[0], found[1]


class _Spade(nn.Module):
    """Normalises, then scales and shifts every pixel as the labels there ask (Eq. 1 of the paper)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        hidden = max(16, width // 2)
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.shared = nn.Conv2d(classes, hidden, 3, padding=1)
        self.modulation = nn.Conv2d(hidden, 2 * width, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gamma, beta = self.modulation(F.relu(self.shared(labels))).chunk(2, 1)
        return self.norm(x) * (1 + gamma) + beta  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Residual block that narrows, then doubles the resolution where `up` is set."""

    def __init__(self, inside: int, outside: int, classes: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.first = _Spade(inside, classes)
        self.narrow = nn.Conv2d(inside, outside, 3, padding=1)
        self.second = _Spade(outside, classes)
        self.mix = nn.Conv2d(outside, outside, 3, padding=1)
        self.beside = nn.Conv2d(inside, outside, 1, bias=False) if inside != outside else nn.Identity()

    def forward(self, x: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
        inner = self.narrow(F.leaky_relu(self.first(x, coarse), 0.2))
        beside = self.beside(x)
        if self.up:
            inner, beside = _double(inner), _double(beside)
        return beside + self.mix(F.leaky_relu(self.second(inner, fine), 0.2))  # type: ignore[no-any-return]


class SpadeGenerator(ModulePart, Learned):
    """Makes an image out of a label map.

    Args:
        classes: Number of classes C.
        widths: Channels of every level, coarse to fine; each level has twice the resolution of the one
            before, so that sides are multiples of `2 ** (len(widths) - 1)`.
        short_side: Short side in pixels of the images it was trained on and makes.

    Raises:
        ConfigError: No class, no width, or a short side that the widths do not divide.
    """

    name = "spade"

    def __init__(self, classes: int, widths: Sequence[int] = WIDTHS, short_side: int = 192) -> None:
        super().__init__()
        if classes < 1 or len(widths) < 2 or min(widths) < 1:
            raise ConfigError("a generator needs at least one class and two widths of at least 1")
        self.multiple = 2 ** (len(widths) - 1)
        if short_side < self.multiple or short_side % self.multiple:
            raise ConfigError(
                f"the generator's short side must be a multiple of {self.multiple} with {len(widths)} "
                f"widths, not {short_side}"
            )
        self.classes, self.widths, self.short_side = classes, tuple(widths), short_side
        self.stem = nn.Conv2d(classes, widths[0], 3, padding=1)
        pairs = zip([widths[0], *widths[:-1]], widths, strict=True)
        self.blocks = nn.ModuleList(
            _Block(inside, outside, classes, up=index > 0) for index, (inside, outside) in enumerate(pairs)
        )
        self.paint = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, labels: Tensor) -> Tensor:
        """Paints a batch.

        Args:
            labels: Float `[B, C, H, W]` of `one_hot`, H and W multiples of `multiple`.

        Returns:
            Images `[B, 3, H, W]`, RGB in 0..1.
        """
        levels = [labels]
        for _ in self.blocks[1:]:
            levels.append(F.avg_pool2d(levels[-1], 2))
        levels.reverse()
        x = self.stem(levels[0])
        for index, block in enumerate(self.blocks):
            x = block(x, levels[max(0, index - 1)], levels[index])
        return torch.sigmoid(self.paint(F.leaky_relu(x, 0.2)).float())

    @torch.inference_mode()
    def resynthesize(self, labels: Tensor) -> Tensor:
        """Reconstructs images from label maps of any size.

        Args:
            labels: Integers `[B, H, W]`; 255 is no class.

        Returns:
            Float32 `[B, 3, h, w]`, RGB in 0..1, at the generator's own size, which covers the map.
        """
        height, width = labels.shape[-2:]
        size = working_size(height, width, self.short_side, self.multiple)
        small = F.interpolate(labels[:, None].float(), size, mode="nearest-exact")[:, 0]
        planes = one_hot(small, self.classes).contiguous(memory_format=torch.channels_last)
        with fast_autocast(labels.device):
            return self(planes).float()  # type: ignore[no-any-return]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
