"""Defines parts that are networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from torch import Tensor, nn

from oodseg.core.parts import Part


class ModulePart(nn.Module, Part):
    """A part that is a `torch.nn.Module`: its parameters and buffers are saved with the pipeline.

    Comes first among the bases: `class Mine(ModulePart, Detector)`.
    """

    def learned_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See `Part.learned_tensors`."""
        for name, module in self.named_modules():
            held = module.held() if isinstance(module, ModulePart) else None
            inside = () if held is None else held.named_parameters()
            for key, value in (*module.named_parameters(recurse=False), *inside):
                yield f"{name}.{key}".lstrip("."), value

    def held(self) -> nn.Module | None:
        """Returns a network that torch does not see in here, so that it is not saved; by default none."""
        return None

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves parameters and buffers; takes what `torch.nn.Module.to` takes."""
        return super().to(*args, **kwargs)
