"""Makes engines: functions that run a network on torch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodseg.core.signal_stack import keep_signal_stack
from oodseg.nn.graphs import Graph, Tensors

Engine = Callable[[Tensors], Tensors]


def torch_engine(module: nn.Module, bfloat16: bool) -> Engine:
    """Makes an engine of torch.

    Args:
        module: Ready for inference; it becomes the engine's own.
        bfloat16: Whether the engine is run under bfloat16 autocast.
    """
    if bfloat16:
        # Autocast would convert them at every call.
        for each in module.modules():
            if isinstance(each, nn.Conv2d | nn.Linear):
                each.to(torch.bfloat16)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(inputs: Tensors) -> Tensors:
        found: Tensors = module(*inputs)
        return found

    return run


def onnxruntime_engine(graph: Graph, model: bytes, bfloat16: bool) -> Engine:
    """Makes an engine of ONNX Runtime on the CPU, in float32 whatever is allowed.

    Args:
        graph: Names the inputs.
        model: The ONNX file.
        bfloat16: Ignored: on CPUs it has no fast bfloat16.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(inputs: Tensors) -> Tensors:
        feed = {name: _array(each) for name, each in zip(graph.inputs, inputs, strict=True)}
        return tuple(torch.from_numpy(each) for each in session.run(list(graph.outputs), feed))

    return run


def openvino_engine(graph: Graph, model: bytes, bfloat16: bool) -> Engine:
    """Makes an engine of OpenVINO on the CPU.

    Args:
        graph: Names inputs and outputs.
        model: The ONNX file.
        bfloat16: Whether it computes in bfloat16.
    """
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
    }
    core = openvino.Core()
    with keep_signal_stack():
        compiled = core.compile_model(core.read_model(BytesIO(model)), "CPU", settings)
    request = compiled.create_infer_request()
    lock = Lock()

    def run(inputs: Tensors) -> Tensors:
        feed: dict[str, Any] = {name: _array(each) for name, each in zip(graph.inputs, inputs, strict=True)}
        with lock:  # the request owns its outputs
            request.infer(feed, share_inputs=True)
            found = [np.array(request.get_tensor(name).data) for name in graph.outputs]
        return tuple(torch.from_numpy(each) for each in found)

    return run


ENGINES: dict[str, Callable[[Graph, bytes, bool], Engine]] = {
    "onnxruntime": onnxruntime_engine,
    "openvino": openvino_engine,
}


def _array(value: Tensor) -> NDArray[np.float32]:
    return value.float().contiguous().numpy()


def largest_difference(found: Tensors, expected: Tensors) -> float:
    """Computes how far outputs are from those expected; infinite where a shape differs.

    Returns:
        Of the output that is furthest off: the root of the mean square difference over that of the expected
        values.
    """
    if [each.shape for each in found] != [each.shape for each in expected]:
        return float("inf")
    pairs = [(ours.float(), theirs.float()) for ours, theirs in zip(found, expected, strict=True)]
    shares = [float((ours - theirs).norm() / theirs.norm().clamp_min(1e-6)) for ours, theirs in pairs]
    return max((float("inf") if math.isnan(share) else share for share in shares), default=0.0)
