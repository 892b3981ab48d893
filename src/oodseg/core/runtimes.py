"""Names the runtimes that networks of a pipeline run on, and chooses among those installed."""

from __future__ import annotations

from importlib.util import find_spec

from oodseg.core.devices import has_fast_bfloat16
from oodseg.core.errors import ConfigError, MissingDependencyError
from oodseg.core.installing import install_extra

RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
# Fastest first, as `benchmarks/runtimes.py` measures them in float32.
_FASTEST = ("openvino", "onnxruntime")


def choose_runtime(name: str, device: str = "cpu") -> str:
    """Chooses what runs the networks of a pipeline.

    Args:
        name: One of `RUNTIMES`. `"auto"` becomes the fastest one installed; on a GPU that is torch.
        device: Torch device of the pipeline.

    Returns:
        `"torch"`, `"onnxruntime"` or `"openvino"`.

    Raises:
        ConfigError: An unknown name, or another runtime than torch on a GPU.
        MissingDependencyError: The runtime is not installed.
    """
    if name not in RUNTIMES:
        raise ConfigError(f"there is no runtime '{name}'; choose one of: {', '.join(RUNTIMES)}")
    if name == "torch":
        return name
    if name == "auto":
        return _fastest() if device == "cpu" else "torch"
    if device != "cpu":
        raise ConfigError(f"{name} runs on the CPU here, not on {device}: choose the runtime torch or auto")
    if name not in available_runtimes():
        raise MissingDependencyError(
            f"the runtime {name} is not installed: install it with `{install_extra(name)}`, or choose the "
            "runtime torch"
        )
    return name


def _fastest() -> str:
    found = available_runtimes()[0]
    if found != "onnxruntime":
        return found
    import torch

    # ONNX Runtime computes in float32, where bfloat16 makes torch the faster one.
    return "torch" if has_fast_bfloat16(torch.device("cpu")) else found


def available_runtimes() -> list[str]:
    """Lists the runtimes that are installed, fastest first; torch is the last."""
    # Graphs are written by torch with the help of onnx.
    found = [each for each in _FASTEST if find_spec(each) is not None and find_spec("onnx") is not None]
    return [*found, "torch"]
