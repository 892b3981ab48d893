"""Freezes, slows down and keeps exact what a training on a pretrained encoder needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def freeze(encoder: nn.Module, stages: int) -> None:
    """Keeps the stem and the first blocks of a timm encoder as they are; 0 lets everything learn."""
    if not stages:
        return
    for name, child in encoder.named_children():
        for part in list(child.children())[:stages] if name == "blocks" else [child]:
            part.requires_grad_(False)


def depthwise_in_float32(network: nn.Module) -> None:
    """Runs trainable depthwise convolutions in float32: on CPUs their backward pass is slow in bfloat16."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.weight.requires_grad:
            forward = module.forward

            def exact(x: Tensor, forward: Any = forward) -> Tensor:
                with torch.autocast(x.device.type, enabled=False):
                    return forward(x.float())  # type: ignore[no-any-return]

            module.forward = exact  # type: ignore[method-assign,assignment]


def parameter_groups(
    network: nn.Module, encoder: nn.Module | None, rate: float, encoder_rate: float, decay_all: bool = False
) -> list[dict[str, Any]]:
    """Groups for an optimiser: the encoder at its own share of the rate, no decay on biases and norms.

    Args:
        network: Everything.
        encoder: The pretrained part of it, if there is one.
        rate: Learning rate of the rest.
        encoder_rate: Share of it at which the encoder learns.
        decay_all: Let biases and norms decay too.
    """
    inside = {id(each) for each in encoder.parameters()} if encoder is not None else set()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for each in network.parameters():
        if each.requires_grad:
            groups.setdefault((id(each) in inside, decay_all or each.ndim > 1), []).append(each)
    return [
        {
            "params": parameters,
            "lr": rate * (encoder_rate if slow else 1.0),
            **({} if decays else {"weight_decay": 0.0}),
        }
        for (slow, decays), parameters in groups.items()
    ]
