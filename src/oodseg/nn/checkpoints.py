"""Reads state dicts that other trainings wrote, without executing anything in them."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodseg.core.errors import WeightsError
from oodseg.core.weights import check_weights

# What training scripts call the state dict in a file that holds more.
_KEYS = ("model", "state_dict", "model_state", "model_state_dict")
# What wrappers put before every name: DistributedDataParallel, torch.compile, modules of trainings.
_PREFIXES = ("module.", "_orig_mod.", "model.")
# Scripts also save figures as numpy's scalars; building one runs no code of the file's. The module that the
# function is in has another name since numpy 2.
_SCALAR = np.float64().__reduce__()[0]
_CLASS = re.compile(r"GLOBAL ([\w.]+)")
_ALLOWED: list[Any] = [
    argparse.Namespace,  # the options of the script, beside the weights
    (_SCALAR, "numpy._core.multiarray.scalar"),
    (_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64")),
]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads a state dict, also one that a training script has wrapped.

    Args:
        path: `.safetensors`; or anything that `torch.save` wrote, which is opened with `weights_only`. A
            mapping with one of the keys `model`, `state_dict`, `model_state` and `model_state_dict` stands
            for what lies there. Names that all begin with `module.`, `_orig_mod.` or `model.` lose that.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        WeightsError: The file cannot be read without executing it, is not a state dict, or holds NaN.
    """
    from safetensors.torch import load_file

    try:
        loaded: Any = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except OSError as error:
        fault = error.strerror or str(error)
        raise WeightsError(
            f"the weights {path} cannot be read ({fault}): check the path and its permissions"
        ) from error
    except Exception as error:  # damaged files raise whatever the unpickler stumbles over
        raise WeightsError(_fault(path, error)) from error
    for key in _KEYS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(each, Tensor) for each in loaded.values()):
        raise WeightsError(f"{path} is not a state dict: save the network's state_dict()")
    check_weights(loaded, path)
    start = len(wrapper_prefix(loaded))
    return {name[start:]: tensor for name, tensor in loaded.items()}


def _unpickled(path: Path) -> Any:
    with torch.serialization.safe_globals(_ALLOWED):
        return torch.load(path, map_location="cpu", weights_only=True)


def _fault(path: Path, error: Exception) -> str:
    """Words why a file was not read; torch advises to execute it."""
    found = _CLASS.search(str(error))
    if found is not None:
        return (
            f"the weights {path} hold more than tensors ({found[1]}), which is never executed: save the "
            "network's state_dict() alone, as .safetensors or .pth"
        )
    reason = "" if isinstance(error, pickle.UnpicklingError) else str(error).strip().partition("\n")[0]
    why = f" ({reason.partition('. ')[0].rstrip('.')})" if reason else ""
    return f"the weights {path} are damaged, or are none{why}: fetch the file again"


def wrapper_prefix(names: Iterable[str]) -> str:
    """Returns what wrappers of a training have put before every name of a state dict; empty if nothing."""
    rest, found = list(names), ""
    while prefix := next((each for each in _PREFIXES if rest and all(n.startswith(each) for n in rest)), ""):
        rest, found = [name.removeprefix(prefix) for name in rest], found + prefix
    return found
