"""Runs the backbone of a Faster R-CNN, with and without image features, on a runtime of choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.nn.graphs import Axes, Graph, Tensors
from oodseg.nn.runner import Runner

NAMES = ("0", "1", "2", "3", "pool")
STRIDES = (8, 16)  # of the image features that may join
_ROWS, _COLUMNS = 128, 192


class Pyramid:
    """The levels of a feature pyramid over score maps.

    It stays in float32: 8 bits of mantissa would move boxes by pixels.

    Args:
        backbone: Maps `[B, C, H, W]`, and the features that join, to a dict of `NAMES`.
        features: Channels of the features that may join, at `STRIDES`.
    """

    def __init__(self, backbone: Any, features: Sequence[int]) -> None:
        self._alone = _runner(backbone, ())
        self._joined = _runner(backbone, features) if features else self._alone

    def run_on(self, runtime: str | None) -> None:
        """See `Part.run_on`."""
        self._alone.runtime = self._joined.runtime = runtime

    def __call__(self, canvas: Tensor, joined: Sequence[Tensor]) -> dict[str, Tensor]:
        """Computes the levels.

        Args:
            canvas: Score maps, padded.
            joined: The image features of that canvas; empty for none.
        """
        found = self._joined(canvas, *joined) if joined else self._alone(canvas)
        return dict(zip(NAMES, found, strict=True))


class _Levels(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, canvas: Tensor, *features: Tensor) -> Tensors:
        found = self.backbone(canvas, features) if features else self.backbone(canvas)
        return tuple(found.values())


def _runner(backbone: Any, features: Sequence[int]) -> Runner:
    inputs: dict[str, Axes] = {"canvas": ("batch", backbone.in_channels, "rows", "columns")}
    for index, channels in enumerate(features):
        inputs[f"features_{index}"] = ("batch", channels, f"rows_{index}", f"columns_{index}")
    outputs: dict[str, Axes] = {
        f"level_{name}": ("batch", backbone.out_channels, f"rows_{name}", f"columns_{name}") for name in NAMES
    }
    graph = Graph("pyramid", _Levels(backbone), inputs, outputs)
    example = partial(_example, backbone.in_channels, tuple(features))
    return Runner(backbone, graph, example, bfloat16=False)


def _example(channels: int, features: Sequence[int]) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    canvas = torch.rand(1, channels, _ROWS, _COLUMNS, generator=generator)
    joined = [
        torch.rand(1, inside, _ROWS // stride, _COLUMNS // stride, generator=generator)
        for inside, stride in zip(features, STRIDES, strict=False)
    ]
    return (canvas, *joined)
