"""Exports a network to ONNX once: the file is kept in the user's cache folder, by fingerprint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import nn

from oodseg.core.cache import cache_folder
from oodseg.core.devices import full_precision
from oodseg.core.errors import OodsegError
from oodseg.core.files import write_bytes
from oodseg.core.fingerprint import hash_json, hash_weights
from oodseg.core.version import __version__
from oodseg.nn.graphs import OPSET, Graph, Tensors, trace


def exported(graph: Graph, module: nn.Module, example: Tensors) -> bytes:
    """Returns a network as ONNX, float32.

    Args:
        graph: Names inputs and outputs.
        module: What is exported, on the CPU and in evaluation mode; in place of the graph's own.
        example: Inputs of any valid size.

    Returns:
        The file's bytes, out of the cache folder if the same network was exported before; where nothing can
        be kept there, it is exported every time.
    """
    path = cache_folder() / "graphs" / f"{graph.name}-{fingerprint(graph, module)[:32]}.onnx"
    with suppress(OSError):
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as folder, _exact():
        file = Path(folder, "graph.onnx")
        trace(Graph(graph.name, module, graph.inputs, graph.outputs), example, file)
        data = file.read_bytes()
    with suppress(OodsegError):  # a read-only home is no reason to stop
        write_bytes(path, data)
    return data


@contextmanager
def _exact() -> Iterator[None]:
    with full_precision(), torch.autocast("cpu", enabled=False), torch.inference_mode():
        yield


def fingerprint(graph: Graph, module: nn.Module) -> str:
    """Computes what changes with a network's structure, weights, axes, or what writes the file."""
    written_by = [__version__, torch.__version__, OPSET]
    axes = [{name: list(each) for name, each in named.items()} for named in (graph.inputs, graph.outputs)]
    return hash_json([written_by, axes, str(module), hash_weights(module)])
