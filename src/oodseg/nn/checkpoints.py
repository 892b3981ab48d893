"""Reads state dicts that other trainings wrote, without executing anything in them."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodseg.core.errors import WeightsError
from oodseg.core.files import is_lfs_pointer
from oodseg.core.input_warnings import warn_input
from oodseg.core.texts import read_text
from oodseg.core.weights import check_weights

# What training scripts call the state dict in a file that holds more; DeepSpeed calls it `module`.
_KEYS = ("model", "state_dict", "model_state", "model_state_dict", "net", "network", "weights", "module")
# What they call a copy of it that is averaged over the steps.
_AVERAGED = re.compile(r"(^|_)(ema|swa|averaged?)($|_)")
# What wrappers put before every name: DistributedDataParallel, torch.compile, modules of trainings.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
# What stands beside the network in modules of trainings: losses, figures, counts of steps.
_BESIDE = re.compile(r"n_averaged$|([a-z_]*_)?(criterion|loss|loss_fn|losses|metrics?|ema)\.")
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
_INDEX = ".index.json"
_PROGRAM = "/constants.pkl"  # of TorchScript


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads a state dict, also one that a training script has wrapped.

    Args:
        path: Safetensors, or anything that `torch.save` wrote, which is opened with `weights_only`, whatever
            the suffix; or the `.index.json` of one in several files. A mapping with one of the keys `model`,
            `state_dict`, `net`, `module` and the like stands for what lies there. Names that all begin with
            `module.`, `_orig_mod.`, `model.`, `net.` or `network.` lose that; losses and figures beside them
            are left out.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        WeightsError: The file cannot be read without executing it, is not a state dict, or holds NaN.
    """
    loaded = _unwrapped(_read_shards(path) if path.name.endswith(_INDEX) else _read(path), path)
    if not isinstance(loaded, Mapping) or not all(isinstance(each, Tensor) for each in loaded.values()):
        raise WeightsError(f"{path} is not a state dict: save the network's state_dict()")
    if any(each.is_quantized for each in loaded.values()):
        raise WeightsError(f"the weights {path} are quantised: save those of the network in floats")
    kept = {name: each for name, each in loaded.items() if not _BESIDE.match(name)} or dict(loaded)
    prefix = wrapper_prefix(kept)
    if not prefix:
        kept = dict(loaded)
    check_weights(kept, path)
    return {name[len(prefix) :]: tensor for name, tensor in kept.items()}


def _unwrapped(loaded: Any, path: Path) -> Any:
    """The innermost mapping under names that training scripts give a state dict."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in _KEYS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        averaged = [key for key in loaded if isinstance(loaded[key], Mapping) and _AVERAGED.search(str(key))]
        if averaged:
            warn_input(
                f"{path} holds an averaged copy of the weights, too ({averaged[0]}), and the weights "
                "themselves are taken: save that copy alone to use it"
            )
        loaded = inner
    if isinstance(loaded, Mapping):  # what modules keep beside tensors is theirs alone
        return {name: each for name, each in loaded.items() if not str(name).endswith("_extra_state")}
    return loaded


def _read(path: Path) -> Any:
    from safetensors.torch import load_file

    start = b""
    try:
        with path.open("rb") as file:
            start = file.read(64)
        return load_file(path) if _is_safetensors(start) else _unpickled(path)
    except WeightsError:
        raise
    except OSError as error:
        fault = error.strerror or str(error)
        raise WeightsError(
            f"the weights {path} cannot be read ({fault}): check the path and its permissions"
        ) from error
    except Exception as error:  # damaged files raise whatever the unpickler stumbles over
        raise WeightsError(_fault(path, error, start)) from error


def _is_safetensors(start: bytes) -> bool:
    """Tells safetensors by their first bytes: the length of a header, and the header, which is JSON."""
    return start[8:9] == b"{" and not start.startswith((b"PK", b"\x80"))


def _read_shards(path: Path) -> dict[str, Any]:
    """Joins the files that an index names, as `save_pretrained` writes large networks."""
    try:
        named = json.loads(read_text(path))["weight_map"]
        files = sorted({str(each) for each in named.values()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is no index of weights: name the file of the weights itself") from error
    missing = [each for each in files if not (path.parent / each).is_file()]
    if missing:
        raise WeightsError(f"{path} names {missing[0]}, which is not beside it: fetch that file, too")
    joined: dict[str, Any] = {}
    for each in files:
        found = _read(path.parent / each)
        if not isinstance(found, Mapping):
            raise WeightsError(f"{path.parent / each} is not a state dict: fetch the files again")
        joined |= found
    return joined


def _unpickled(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(each.endswith(_PROGRAM) for each in archive.namelist()):
                raise WeightsError(
                    f"{path} is a TorchScript program, which is never executed: save the network's "
                    "state_dict(), or export it to ONNX"
                )
    # By name, torch takes a file for safetensors that is called so.
    with path.open("rb") as file, torch.serialization.safe_globals(_ALLOWED):
        return torch.load(file, map_location="cpu", weights_only=True)


def _fault(path: Path, error: Exception, start: bytes) -> str:
    """Words why a file was not read; torch advises to execute it."""
    if is_lfs_pointer(path):
        return f"{path} only stands for weights in Git LFS: fetch them with `git lfs pull`"
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return f"{path} is a web page, not weights: the download was refused, so fetch it in a browser"
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
