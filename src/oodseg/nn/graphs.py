"""Networks of tensors alone, and how they become ONNX files."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

Axes = tuple[int | str, ...]
Tensors = tuple[Tensor, ...]

OPSET = 17


@dataclass(frozen=True)
class Graph:
    """One network of tensors.

    Attributes:
        name: Its file's name without suffix.
        module: What is traced; takes and returns tensors.
        inputs: Names of its inputs, with their axes: a number, or the name of a size that varies.
        outputs: Likewise of its outputs.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Axes]
    outputs: dict[str, Axes]


class OneOutput(nn.Module):
    """A network of one input and one output, as a graph has it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, given: Tensor) -> Tensors:
        """Runs the network."""
        return (self.network(given),)


def trace(graph: Graph, inputs: Tensors, path: Path) -> None:
    """Writes a graph as ONNX (opset 17, float32).

    Args:
        graph: The graph; its module is in evaluation mode.
        inputs: An example of its inputs.
        path: The file.
    """
    axes = {
        name: {index: axis for index, axis in enumerate(shape) if isinstance(axis, str)}
        for name, shape in {**graph.inputs, **graph.outputs}.items()
    }
    # The exporter warns of every branch it cannot see, and prints a network that it cannot read; the
    # comparison with torch is what counts.
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        # dynamo=True fails in torchvision's batched non-maximum suppression.
        torch.onnx.export(
            graph.module,
            tuple(each.clone() for each in inputs),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes=axes,
        )
