"""DeepLabV3+ on WideResNet-38, the network behind RPL, PEBAL, Meta-OoD and SynBoost, by checkpoint file.

NVIDIA trained it on Cityscapes (Zhu et al., "Improving Semantic Segmentation via Video Propagation and Label
Relaxation", CVPR 2019) and called it `DeepWV3Plus`; the others start from that file and keep its names:

| file | holds beside the network |
|---|---|
| NVIDIA's and SynBoost's `cityscapes_best.pth`, Meta-OoD's | nothing |
| PEBAL's (Tian et al., ECCV 2022) | a twentieth logit, last: abstention |
| RPL's and RPL+CoroCL's (Liu et al., ICCV 2023) | the residual block; CoroCL's projection head, unused |

Names in a file may begin with `module.`, `branch1.` or both. The network agrees with RPL's
release to 1e-4 on weights made for the comparison; the published files themselves have not been seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import Segmentation
from oodseg.core.taxonomy import CITYSCAPES_CLASSES
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.checkpoints import read_state_dict
from oodseg.nn.hub import portable_source
from oodseg.segmenters.wide_resnet import WideResNet38
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD, WrappedSegmenter, class_names, input_of

_PREFIX = re.compile(r"^(module\.|branch1\.)+")
_SEVERAL = re.compile(r'("[^"]+"), ".*')  # torch lists every name that is wrong
_RESIDUAL = "residual_block."
_TRAINING_ONLY = _RESIDUAL + "proj_head."
_FIRST, _LAST = "mod1.conv1.weight", "final.6.weight"
_RATES = (12, 24, 36)  # dilations of the pyramid at stride 8


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 and three dilated 3x3 convolutions beside the image's mean."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            conv_norm_relu(inside, outside, kernel, dilation=rate)
            for kernel, rate in ((1, 1), *((3, rate) for rate in _RATES))
        )
        self.img_conv = conv_norm_relu(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        summary = self.img_conv(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return torch.cat([summary, *(each(x) for each in self.features)], 1)


class _ResidualBlock(nn.Module):
    """RPL's block: a second pyramid, whose result is added to what the last layers see."""

    def __init__(self, inside: int, middle: int, outside: int) -> None:
        super().__init__()
        self.atten_aspp = _Pyramid(inside, middle)
        self.bot_atten_aspp = nn.Conv2d(5 * middle, middle, 1, bias=False)
        self.atten_aspp_final = nn.Conv2d(middle, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.atten_aspp_final(self.bot_atten_aspp(self.atten_aspp(x)))  # type: ignore[no-any-return]


class DeepWV3Plus(WideResNet38):
    """Image to class logits.

    Args:
        classes: Number of logits.
        width: See `WideResNet38`; 64 in all published files.
        residual: Whether there is a residual block.
    """

    def __init__(self, classes: int, width: int = 64, residual: bool = False) -> None:
        super().__init__(width)
        deep, middle, slim = 64 * width, 4 * width, 3 * width // 4
        self.residual_block = _ResidualBlock(deep, middle, middle + slim) if residual else None
        self.aspp = _Pyramid(deep, middle)
        self.bot_fine = nn.Conv2d(2 * width, slim, 1, bias=False)
        self.bot_aspp = nn.Conv2d(5 * middle, middle, 1, bias=False)
        self.final = nn.Sequential(
            *conv_norm_relu(middle + slim, middle, 3),
            *conv_norm_relu(middle, middle, 3),
            nn.Conv2d(middle, classes, 1, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Computes logits, with the residual if there is a block.

        Args:
            images: Float `[B, 3, H, W]`, normalised, any size.

        Returns:
            Float `[B, C, H, W]`.
        """
        fine, coarse = self.features(images)
        size = fine.shape[-2:]
        joined = torch.cat([self.bot_fine(fine), _enlarged(self.bot_aspp(self.aspp(coarse)), size)], 1)
        if self.residual_block is not None:
            joined = joined + _enlarged(self.residual_block(coarse), size)
        return _enlarged(self.final(joined).float(), images.shape[-2:])


class DeepWV3PlusSegmenter(WrappedSegmenter):
    """DeepLabV3+ on WideResNet-38 with the weights in a file.

    Args:
        source: A checkpoint, read with `weights_only`; see the module for those that there are.
        classes: Names of the classes, or a JSON file of them; None for the 19 of Cityscapes.
        residual: Whether logits include RPL's residual block, which the file must then hold. Its anomaly
            score is the energy of these logits; without it the classes are those of the network it was
            added to.
        abstention: Whether the last logit in the file is PEBAL's abstention, which is left out.
        reduced_precision: Whether convolutions run in bfloat16, where the device computes it natively.

    Raises:
        WeightsError: No such file, or one of another network.
        ConfigError: A file of another number of classes, or without a residual block.
    """

    name = "deepwv3plus"

    def __init__(
        self,
        source: str,
        classes: Sequence[str] | str | None = None,
        residual: bool = False,
        abstention: bool = False,
        reduced_precision: bool = False,
    ) -> None:
        state = _plain_names(source, read_state_dict(Path(source).expanduser()))
        lacks = next((name for name in (_FIRST, _LAST) if name not in state or state[name].ndim != 4), None)
        if lacks is not None:
            raise WeightsError(
                f"{source} is not a checkpoint of DeepLabV3+ on WideResNet-38 (it has no convolution "
                f"{lacks}): give one of NVIDIA's, PEBAL's, Meta-OoD's, SynBoost's or RPL's"
            )
        names = _names(source, classes, len(state[_LAST]), abstention)
        if abstention:
            state[_LAST] = state[_LAST][:-1]
        has_block = any(name.startswith(_RESIDUAL) for name in state)
        if residual and not has_block:
            raise ConfigError(
                f"{source} has no residual block: give a checkpoint of RPL, or leave the residual out"
            )
        if not residual:
            state = {name: each for name, each in state.items() if not name.startswith(_RESIDUAL)}
        super().__init__(_loaded(source, state, residual), names, IMAGENET_MEAN, IMAGENET_STD)
        self.source, self.residual, self.abstention = source, residual, abstention
        self.reduced_precision = reduced_precision

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights stay where they are."""
        return {
            "source": portable_source(self.source),
            "classes": self.classes,
            "residual": self.residual,
            "abstention": self.abstention,
            "reduced_precision": self.reduced_precision,
        }

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`. Logits have the image's size, features half of it."""
        inputs = self.normalized(images)
        fast = fast_autocast(inputs.device) if self.reduced_precision else nullcontext()
        with input_of(self.network.final[-1]) as seen, fast:
            logits = self.network(inputs)
        return Segmentation(logits, seen[0])

    def classify(self, features: Tensor) -> Tensor:
        """See `Segmenter.classify`."""
        logits: Tensor = self.network.final[-1](features)
        return logits


def _names(
    source: str, classes: Sequence[str] | str | None, logits: int, abstention: bool
) -> tuple[str, ...]:
    known = len(CITYSCAPES_CLASSES)
    if abstention and logits <= known and classes is None:
        raise ConfigError(
            f"{source} has {logits} logits and PEBAL's {known + 1}, the last for abstention: give a "
            "checkpoint of PEBAL, or set `abstention` to false"
        )
    if logits == known + 1 and classes is None and not abstention:
        raise ConfigError(
            f"{source} is of {logits} classes, not the {known} of Cityscapes: write pebal:{source} (or set "
            "`abstention` to true) if the last is PEBAL's abstention, or name all with `classes`"
        )
    count = logits - abstention
    if classes is None and count != known:
        raise ConfigError(
            f"{source} is of {count} classes, not the {known} of Cityscapes: name them with `classes`"
        )
    return class_names(CITYSCAPES_CLASSES if classes is None else classes, count)


def _plain_names(source: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the network by the names that they have in it."""
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        own = _PREFIX.sub("", name)
        if own in plain:
            raise WeightsError(
                f"{source} holds {own} twice, behind different prefixes: save one of the two networks alone"
            )
        plain[own] = tensor
    return {name: tensor for name, tensor in plain.items() if not name.startswith(_TRAINING_ONLY)}


def _loaded(source: str, state: dict[str, Tensor], residual: bool) -> DeepWV3Plus:
    with torch.device("meta"):  # the file's tensors become the network's: nothing is made twice
        network = DeepWV3Plus(len(state[_LAST]), len(state[_FIRST]), residual)
    # Counters of steps mean nothing here, and files older than them have none.
    counters = {name: torch.tensor(0) for name, _ in network.named_buffers() if name.endswith("_tracked")}
    try:
        network.load_state_dict(
            {**counters, **{name: each.float() for name, each in state.items()}}, assign=True
        )
    except RuntimeError as error:
        fault = _SEVERAL.sub(r"\1 and more", str(error).splitlines()[1].strip()).rstrip(".")
        raise WeightsError(
            f"{source} does not fit DeepLabV3+ on WideResNet-38 ({fault}): give a whole checkpoint"
        ) from error
    return network.eval().requires_grad_(False)


def _enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes with aligned corners, as this network was trained."""
    return F.interpolate(maps, list(size), mode="bilinear", align_corners=True)
