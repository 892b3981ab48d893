"""Folds batch normalisation into the convolutions before it, for inference.

With fixed statistics a batch normalisation scales and shifts every channel, which a convolution can do with
its weights and bias (Jacob et al., CVPR 2018, Sec. 3.2).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from oodseg.core.starting import collector_paused


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copies a network in evaluation mode, its batch normalisations folded into convolutions.

    Folded are those registered directly behind a convolution of as many channels, as in all networks of this
    package and of timm; others stay. What timm puts into the same layer, dropout and activation, stays too.

    Args:
        network: Any network; it stays what it is.

    Returns:
        A copy whose outputs differ by rounding alone.
    """
    with collector_paused():
        folded = copy.deepcopy(network, _empty_twins(network)).eval().requires_grad_(False)
        for parent in folded.modules():
            _fold_children(parent)
    return folded


def _empty_twins(network: nn.Module) -> dict[int, Any]:
    """Copies the empty dictionaries of a network, by the identity of each: most of what there is to copy.

    Every layer has a dozen for hooks, over which `copy.deepcopy` spends three quarters of its time.
    """
    inside = (each for module in network.modules() for each in vars(module).values())
    return {id(each): type(each)() for each in inside if type(each) in (dict, OrderedDict) and not each}


def _fold_children(parent: nn.Module) -> None:
    before: Any = None
    child: Any
    for name, child in list(parent.named_children()):
        behind = isinstance(before, nn.Conv2d) and isinstance(child, nn.BatchNorm2d)
        if behind and child.track_running_stats and before.out_channels == child.num_features:
            _fold(before, child)
            # timm's layer of normalisation, dropout and activation is a batch normalisation with children.
            rest = [each for each in child.children() if not isinstance(each, nn.Identity)]
            setattr(parent, name, nn.Sequential(*rest) if rest else nn.Identity())
        before = child


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Gives a convolution the weights that it has with the normalisation behind it, in place."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
