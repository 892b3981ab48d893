"""Opens and runs ONNX files with onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError, WeightsError, cause
from oodseg.core.files import is_lfs_pointer
from oodseg.core.installing import install_extra

_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_BESIDE = re.compile(r'External data path does not exist: "?([^"]+)"?')
_NEWER = re.compile("Unsupported model IR version|guarantees.* opset|opset.* under development")
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def open_session(source: str | Path) -> Any:
    """Opens an ONNX file, on a GPU where onnxruntime has one.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        WeightsError: The file is missing or no ONNX file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError(
            f"ONNX files need onnxruntime: install it with `{install_extra('onnx')}`"
        ) from None
    if not Path(source).is_file():
        raise WeightsError(f"the ONNX file {source} does not exist: check the path for typing errors")
    try:
        Path(source).open("rb").close()
    except OSError as error:
        raise WeightsError(
            f"the ONNX file {source} cannot be opened ({error.strerror}): check its permissions"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    providers = [each for each in _PROVIDERS if each in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(str(source), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common base
        raise WeightsError(_fault(Path(source), cause(error), onnxruntime.__version__)) from error


def _fault(path: Path, reason: str, version: str) -> str:
    """Words why onnxruntime has not opened a file."""
    if is_lfs_pointer(path):
        return f"{path} only stands for a file in Git LFS: fetch it with `git lfs pull`"
    beside = _BESIDE.search(reason)
    if beside is not None:
        name = Path(beside[1]).name
        return f"{path} keeps its weights in {name}, which is not beside it: copy that file, too"
    if _NEWER.search(reason):
        return (
            f"{path} is of a newer version of ONNX than onnxruntime {version} reads: update onnxruntime, or "
            "export it for an older one (opset_version=17)"
        )
    remedy = "export it again"
    if path.suffix.lower() != ".onnx":
        remedy = "give what torch.onnx.export wrote of the network, not its weights"
    return f"{path} is not an ONNX file that can be run ({_CODE.sub('', reason)}): {remedy}"


def fixed_sides(given: Any) -> list[int | None]:
    """Returns the sizes of an input or output of a session; None for those that the file leaves open."""
    return [side if isinstance(side, int) else None for side in given.shape]


def float_type(given: Any) -> type[np.floating[Any]]:
    """Returns the numpy type that a float input of a session takes."""
    known: dict[str, type[np.floating[Any]]] = {"tensor(float16)": np.float16, "tensor(double)": np.float64}
    return known.get(given.type, np.float32)


def listed(ports: Iterable[Any]) -> str:
    """Describes inputs or outputs of a session for a message: `image float [1, 3, height, width]`."""
    return "; ".join(
        f"{each.name} {each.type.removeprefix('tensor(').removesuffix(')')} "
        f"[{', '.join('?' if side is None else str(side) for side in each.shape)}]"
        for each in ports
    )


def as_float32(outputs: list[Any]) -> list[NDArray[np.float32]]:
    """Converts the outputs of a run to float32."""
    return [np.asarray(each).astype(np.float32) for each in outputs]
