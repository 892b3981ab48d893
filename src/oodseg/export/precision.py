"""Smaller graphs: weights in 16 or 8 bits, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.export.onnx_predict import Predictor
from oodseg.synth.drawn import draw_scene

PRECISIONS = ("float32", "float16", "int8")
# What is computed in 16 bits: all else may hold coordinates, of which these would lose whole pixels.
_HALVED = {"Conv", "ConvTranspose"}
# Axis of the output channels in the weights of what multiplies by them; torch writes Gemm transposed.
_CHANNELS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": 0}
_LEAST = 1024  # bytes: smaller weights stay as they are
_SIZES = ((360, 640), (613, 457), (720, 1280))


def check_precision(precision: str) -> None:
    """Checks a word for the precision of graphs.

    Raises:
        ConfigError: It is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"the precision of graphs must be one of {', '.join(PRECISIONS)}, not {precision!r}"
        )


def lower_precision(path: Path, precision: str) -> None:
    """Writes a graph anew with smaller weights; inputs and outputs stay float32.

    Args:
        path: An ONNX file of opset 13 or above.
        precision: `"float16"`: convolutions compute in 16 bits, which GPUs do faster. `"int8"`: weights are
            stored in 8 bits with a scale for each output channel, and multiplied out when the file is
            opened.
    """
    import onnx

    model = _without_aliases(onnx.load(str(path)))
    model = _halved(model) if precision == "float16" else _quantized(model)
    path.write_bytes(model.SerializeToString())


def masks_of_scenes(folder: Path) -> list[NDArray[np.bool_]]:
    """Finds masks with exported graphs in drawn scenes of several sizes, bool `[H, W]` each."""
    predictor = Predictor(folder)
    rng = np.random.default_rng(0)
    return [predictor.predict(draw_scene(rng, size, 4).image)[0].any(0) for size in _SIZES * 2]


def agreement(ours: Iterable[NDArray[np.bool_]], theirs: Iterable[NDArray[np.bool_]]) -> float:
    """Computes the IoU of masks over all images together, 0..1; 1 where neither has any."""
    pairs = list(zip(ours, theirs, strict=True))
    either = sum(int((one | other).sum()) for one, other in pairs)
    both = sum(int((one & other).sum()) for one, other in pairs)
    return both / either if either else 1.0


def _without_aliases(model: Any) -> Any:
    """Names weights by their own names where a network that runs twice names them by others."""
    weights = {each.name for each in model.graph.initializer}
    results = {each.name for each in model.graph.output}
    alias = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Identity" and node.input[0] in weights and node.output[0] not in results
    }
    nodes = [node for node in model.graph.node if not (node.output and node.output[0] in alias)]
    for node in nodes:
        node.input[:] = [alias.get(each, each) for each in node.input]
    return _with(model, nodes, list(model.graph.initializer))


def _halved(model: Any) -> Any:
    """Casts what goes into convolutions to 16 bits, and what comes out of them back."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {each.name: each for each in model.graph.initializer}
    nodes: list[Any] = []
    cast: set[str] = set()

    def half(name: str) -> str:
        """The name of the same in 16 bits, which is made if it is not there."""
        if f"{name}.half" not in cast:
            cast.add(f"{name}.half")
            if name in weights:
                values = numpy_helper.to_array(weights[name]).astype(np.float16)
                model.graph.initializer.append(numpy_helper.from_array(values, f"{name}.half"))
            else:
                nodes.append(helper.make_node("Cast", [name], [f"{name}.half"], to=TensorProto.FLOAT16))
        return f"{name}.half"

    for node in list(model.graph.node):
        if node.op_type in _HALVED and node.input[1] in weights:
            node.input[:] = [half(each) if each else each for each in node.input]
            (output,) = node.output
            node.output[:] = [f"{output}.exact"]
            nodes += [node, helper.make_node("Cast", [f"{output}.exact"], [output], to=TensorProto.FLOAT)]
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    gone = {name for name in weights if f"{name}.half" in cast} - used
    return _with(model, nodes, [each for each in model.graph.initializer if each.name not in gone])


def _quantized(model: Any) -> Any:
    """Stores weights in 8 bits, with a node that multiplies them out again."""
    from onnx import helper, numpy_helper

    # A weight that is used in two ways, or for more than multiplying, is left alone.
    uses: dict[str, set[tuple[str, int]]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            uses.setdefault(name, set()).add((node.op_type, index))
    nodes, kept = [], []
    for tensor in model.graph.initializer:
        (op, index), *more = uses.get(tensor.name, {("", 0)})
        values = numpy_helper.to_array(tensor)
        if more or op not in _CHANNELS or index != 1 or values.dtype != np.float32 or values.nbytes < _LEAST:
            kept.append(tensor)
            continue
        axis = _CHANNELS[op] % values.ndim
        others = tuple(each for each in range(values.ndim) if each != axis)
        scale = np.maximum(np.abs(values).max(axis=others), 1e-12).astype(np.float32) / np.float32(127)
        shape = [-1 if each == axis else 1 for each in range(values.ndim)]
        whole = np.rint(values / scale.reshape(shape)).clip(-127, 127).astype(np.int8)
        names = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
        kept += [
            numpy_helper.from_array(each, name) for each, name in zip((whole, scale), names, strict=True)
        ]
        nodes.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
    return _with(model, [*nodes, *model.graph.node], kept)


def _with(model: Any, nodes: list[Any], weights: list[Any]) -> Any:
    """A copy of a model with other nodes and weights."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:], copy.graph.initializer[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend(weights)
    return copy
