"""Folds batch normalisation into the convolutions before it, for inference.

With fixed statistics a batch normalisation scales and shifts every channel, which a convolution can do with
its weights and bias (Jacob et al., CVPR 2018, Sec. 3.2).
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copies a network in evaluation mode, its batch normalisations folded into convolutions.

    Folded are those registered directly behind a convolution of as many channels, as in all networks of this
    package and of timm; others stay. What timm puts into the same layer, dropout and activation, stays too.

    Args:
        network: Any network; it stays what it is.

    Returns:
        A copy whose outputs differ by rounding alone.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in folded.modules():
        _fold_children(parent)
    return folded


def _fold_children(parent: nn.Module) -> None:
    before: Any = None
    before_name = ""
    child: Any
    for name, child in list(parent.named_children()):
        behind = isinstance(before, nn.Conv2d) and isinstance(child, nn.BatchNorm2d)
        if behind and child.track_running_stats and before.out_channels == child.num_features:
            setattr(parent, before_name, fuse_conv_bn_eval(before, child))
            # timm's layer of normalisation, dropout and activation is a batch normalisation with children.
            rest = [each for each in child.children() if not isinstance(each, nn.Identity)]
            setattr(parent, name, nn.Sequential(*rest) if rest else nn.Identity())
        before, before_name = child, name
