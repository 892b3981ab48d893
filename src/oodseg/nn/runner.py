"""Runs the networks of parts for inference, as fast as the machine and what is installed allow."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.core.devices import computes_bfloat16, fast_autocast, full_precision
from oodseg.core.errors import cause
from oodseg.nn.engines import ENGINES, Engine, largest_difference, torch_engine
from oodseg.nn.folding import fold_batch_norm
from oodseg.nn.graph_cache import exported
from oodseg.nn.graphs import Graph, Tensors

# Largest difference of an output from torch's in float32, as a share of its size. A graph that computes
# something else is far above.
TOLERANCE = 0.1


class RuntimeFallback(UserWarning):
    """Another runtime could not do what torch does, so that torch does it."""


class Runner:
    """Runs one network of a part, on a runtime of choice.

    The network stays what it is: what is run is a copy made for inference, batch normalisation folded into
    convolutions, that is made anew when a weight has changed. Where gradients are asked for, in training and
    while a graph is exported, the network itself runs. What another runtime gives for the first inputs is
    compared with torch; where the two differ, torch runs the network and a `RuntimeFallback` says so.

    Args:
        network: Holds the weights, and tells by its mode whether it is trained.
        graph: Names what goes in and out; its `module` runs the network.
        example: Makes inputs of any valid size, on the CPU.
        bfloat16: Whether it may compute in bfloat16, where that is fast.

    Attributes:
        runtime: `"torch"`, `"onnxruntime"` or `"openvino"`; None for the network itself.
    """

    def __init__(
        self, network: nn.Module, graph: Graph, example: Callable[[], Tensors], bfloat16: bool = True
    ) -> None:
        self.network, self.graph, self.example, self.bfloat16 = network, graph, example, bfloat16
        self.runtime: str | None = None
        self._engines: dict[tuple[str, bool, int], Engine] = {}
        self._state: list[tuple[int, int]] = []
        self._lock = Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Runner:
        network, graph = copy.deepcopy(self.network, memo), copy.deepcopy(self.graph, memo)
        other = Runner(network, graph, self.example, self.bfloat16)
        other.runtime = self.runtime
        return other

    def __getstate__(self) -> dict[str, Any]:
        # Sessions, compiled models and locks cannot be pickled; they are made again.
        return {**self.__dict__, "_engines": {}, "_state": [], "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def __call__(self, *inputs: Tensor) -> Tensors:
        """Runs the network on tensors; outputs may come in bfloat16 where the device computes it fast."""
        asis = self.runtime is None or self.network.training or torch.is_grad_enabled()
        with fast_autocast(inputs[0].device) if self.bfloat16 else nullcontext():
            if asis or _is_traced():
                found: Tensors = self.graph.module(*inputs)
                return found
            return self._engine(inputs)(inputs)

    def _engine(self, inputs: Tensors) -> Engine:
        assert self.runtime is not None
        with self._lock:
            state = _state(self.network)
            if state != self._state:
                self._engines.clear()
                self._state = state
            runtime, bfloat16 = self.runtime, self.bfloat16 and computes_bfloat16(inputs[0].device)
            # Other runtimes are told once how many threads they have.
            key = (runtime, bfloat16, 0 if runtime == "torch" else torch.get_num_threads())
            if key not in self._engines:
                self._engines[key] = self._build(runtime, bfloat16, inputs)
            return self._engines[key]

    def _build(self, runtime: str, bfloat16: bool, inputs: Tensors) -> Engine:
        module = self.graph.module
        if runtime == "torch" or inputs[0].device.type != "cpu":
            return torch_engine(fold_batch_norm(module), bfloat16)
        try:
            model = exported(self.graph, fold_batch_norm(module), self.example())
            engine = ENGINES[runtime](self.graph, model, bfloat16)
            with full_precision(), torch.autocast("cpu", enabled=False):
                expected: Tensors = module(*inputs)
            difference = largest_difference(engine(inputs), expected)
            fault = "" if difference <= TOLERANCE else f"its outputs differ by {100 * difference:.1f} %"
        except Exception as error:  # whatever another runtime meets in a network of a user's
            fault = cause(error)
        if not fault:
            return engine
        sentence = (
            f"{runtime} cannot run the network '{self.graph.name}' as torch does ({fault}): torch runs it"
        )
        warnings.warn(sentence, RuntimeFallback, stacklevel=2)
        return torch_engine(fold_batch_norm(module), bfloat16)


def _is_traced() -> bool:
    """Tells whether a graph is being exported."""
    from torch.jit import is_tracing  # type: ignore[attr-defined]

    return bool(is_tracing())  # type: ignore[no-untyped-call]


def _state(network: nn.Module) -> list[tuple[int, int]]:
    """What changes whenever a weight does: where the tensors lie, and how often they were written to."""
    # Asked at every call: by hand, this takes half of the time of `network.parameters()` and `buffers()`.
    found, modules = [], [network]
    while modules:
        module = modules.pop()
        modules += [each for each in module._modules.values() if each is not None]
        for tensors in (module._parameters, module._buffers):
            for each in tensors.values():
                if each is not None:
                    found.append((each.data_ptr(), 0 if each.is_inference() else each._version))
    return found
