"""Selects devices and the precision they compute in, and explains what goes wrong on them.

A device is named as in torch, or by the number of a GPU: `auto`, `cpu`, `cuda`, `cuda:1`, `1`, `mps`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, get_args

from oodseg.core.errors import ConfigError, DeviceError, ImageError
from oodseg.core.starting import collector_paused

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "full", "half"]
"""What networks compute in: bfloat16 in those that were measured with it, where the device has it; float32;
or 16 bits in all of them."""

_precision: ContextVar[Precision] = ContextVar("precision", default="auto")

_TOO_LARGE = r"out of memory|can't allocate memory|not enough memory"
# What torch says, what it means, and what helps.
_FAULTS = (
    (
        r"for the MPS device|MPS (framework|device|backend)",
        "lacks an operation that this model needs",
        "set PYTORCH_ENABLE_MPS_FALLBACK=1 in the environment, or use --device cpu",
    ),
    (
        r"no kernel image is available|not compatible with the current PyTorch",
        "is of a kind that this torch was not built for",
        "install a torch for it, or use --device cpu",
    ),
    (
        r"driver version is insufficient|driver on your system is too old",
        "has a driver that is too old for this torch",
        "update it, or use --device cpu",
    ),
    (
        r"not compiled with CUDA|No CUDA GPUs|no NVIDIA driver|no CUDA-capable device",
        "is not to be had here",
        "use --device cpu",
    ),
    (
        r"CUDA|cuDNN|CUBLAS|HIP|device-side assert",
        "failed",
        "run the same command again, with --device cpu if it fails again",
    ),
)


def choose_device(name: str | int | torch.device = "auto") -> str:
    """Returns torch's name of a device; `"auto"` is an NVIDIA or AMD GPU where there is one, else the CPU.

    Args:
        name: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or 1, or `"mps"`.

    Raises:
        ConfigError: No such device, here or at all.
    """
    text = str(name).strip().lower()
    if text.isdecimal():
        text = f"cuda:{text}"
    kind, colon, number = text.partition(":")
    plain = kind in {"auto", "cpu", "mps"} and not colon
    if not plain and not (kind == "cuda" and number.isdecimal() == bool(colon)):
        raise ConfigError(
            f"there is no device '{name}': choose auto, cpu, cuda, the number of a GPU (such as 0 or cuda:0) "
            "or mps"
        )
    if text == "cpu":
        return text
    with collector_paused():  # often the first import of it
        import torch

    if text == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if text == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("torch finds no Apple GPU (mps) here: use --device cpu or --device auto")
        return text
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        remedy = "" if built else ", or install a torch that was built for GPUs"
        raise ConfigError(f"torch finds no CUDA device here: use --device cpu or --device auto{remedy}")
    count = torch.cuda.device_count()
    if number and int(number) >= count:
        there = "cuda:0 alone" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise ConfigError(f"torch finds no {text} here, but {there}: use one of these or --device auto")
    return text


def check_precision(name: str, device: str) -> Precision:
    """Checks what a device is to compute in.

    Args:
        name: `"auto"`, `"full"` or `"half"`.
        device: What `choose_device` returned.

    Raises:
        ConfigError: None of these, or half precision on a CPU that is slower with it.
    """
    found = next((each for each in get_args(Precision) if each == name), None)
    if found is None:
        raise ConfigError(f"precision must be one of {', '.join(get_args(Precision))}, not '{name}'")
    if found == "half" and device == "cpu" and not _cpu_has_bfloat16():
        raise ConfigError(
            "this CPU is slower in half precision than in full: leave --precision at auto, or use a GPU"
        )
    precision: Precision = found
    return precision


@contextmanager
def at_precision(wanted: Precision) -> Iterator[None]:
    """Sets what networks compute in within the block; `"auto"` leaves what a block around it has set."""
    token = _precision.set(_precision.get() if wanted == "auto" else wanted)
    try:
        yield
    finally:
        _precision.reset(token)


def full_precision() -> AbstractContextManager[None]:
    """Disables `fast_autocast` within the block: for exported graphs, and to compare machines."""
    return at_precision("full")


def fast_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Returns bfloat16 autocast where the device computes it natively, else nothing; see `Precision`.

    Convolutions take about half the time on CPUs with AVX512-BF16 or AMX; on others bfloat16 is
    emulated and slower than float32.
    """
    import torch

    wanted = _precision.get()
    if wanted == "full":
        return nullcontext()
    if has_fast_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    if wanted == "half" and device.type != "cpu":
        return torch.autocast(device.type, torch.float16)
    return nullcontext()


def half_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Returns the same for networks of others, whose results in 16 bits nobody measured: only on request.

    It is float16 on GPUs, whose finer steps suit scores made of logits.
    """
    import torch

    if _precision.get() != "half":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if device.type == "cpu" else torch.float16)


def computes_bfloat16(device: torch.device) -> bool:
    """Tells whether networks compute in bfloat16 now: where it is native, outside `full_precision`."""
    return _precision.get() != "full" and has_fast_bfloat16(device)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tells whether a device computes bfloat16 natively."""
    if device.type == "cpu":
        return _cpu_has_bfloat16()
    import torch

    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def device_errors(device: str, what: str = "the image", *, model: bool = False) -> Iterator[None]:
    """Turns what torch says of a device into one sentence with a remedy.

    Args:
        device: What `choose_device` returned.
        what: What the block works on.
        model: Whether that is a model, no image.

    Raises:
        ImageError: An image does not fit into the device's memory.
        DeviceError: A model does not, or the device fails, or it cannot do what a model needs.
    """
    try:
        yield
    except (RuntimeError, AssertionError, TypeError) as error:
        said = str(error)
        if re.search(_TOO_LARGE, said, re.IGNORECASE):
            fault = f"{what} does not fit into the memory of {device}"
            other = "" if device == "cpu" else ", or --device cpu"
            if model:
                raise DeviceError(f"{fault}: choose a smaller model{other}") from error
            raise ImageError(f"{fault}: choose a smaller --size or --batch{other}") from error
        for pattern, fault, remedy in () if device == "cpu" else _FAULTS:
            if re.search(pattern, said):
                first = said.strip().splitlines()[0][:200]
                raise DeviceError(f"the device {device} {fault} ({first}): {remedy}") from error
        raise


def _cpu_has_bfloat16() -> bool:
    import torch

    capabilities = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    if not str(capabilities).startswith(("AVX512", "AMX")):
        return False
    # The capability does not name the extension; oneDNN's own answer does.
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported is not None and supported())
