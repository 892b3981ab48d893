"""Defines parts that are networks."""

from __future__ import annotations

from typing import Any, Self

from torch import nn

from oodseg.core.parts import Part


class ModulePart(nn.Module, Part):
    """A part that is a `torch.nn.Module`: its parameters and buffers are saved with the pipeline.

    Comes first among the bases: `class Mine(ModulePart, Detector)`.
    """

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves parameters and buffers; takes what `torch.nn.Module.to` takes."""
        return super().to(*args, **kwargs)
