"""Saves what loading costs beside reading: collecting cycles, and random numbers for weights that follow."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collects no cycles within the block: for imports and for building networks, whose objects all stay.

    The collector would walk over all of them again and again, which is a fifth of the time that importing
    torch and loading a pipeline take. Afterwards it takes them for old, as if it had seen them already.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # what someone froze stays frozen
            gc.freeze()
            gc.unfreeze()  # into the oldest generation
        gc.enable()


@contextmanager
def weights_left_unset() -> Iterator[None]:
    """Draws no random numbers for the weights of networks that are built within the block.

    They hold whatever lay in memory: for networks into which all weights are loaded afterwards.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    random = {
        torch.Tensor.uniform_,
        torch.Tensor.normal_,
        torch.nn.init.uniform_,
        torch.nn.init.normal_,
        torch.nn.init.kaiming_uniform_,
    }

    class Unset(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: Any = None
        ) -> Any:
            if function not in random:
                return function(*arguments, **(named or {}))
            return arguments[0] if arguments else named["tensor"]

    with Unset():
        yield
