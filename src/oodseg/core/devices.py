"""Selects devices and the precision they compute fast in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    import torch

_full_precision = ContextVar("full_precision", default=False)


def choose_device(name: str) -> str:
    """`"auto"` becomes `"cuda"` where there is one, else `"cpu"`; any other name is passed through.

    Raises:
        ConfigError: A GPU is asked for and there is none.
    """
    if name == "cpu":
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("torch finds no CUDA device here: use --device cpu or --device auto")
    return name


def fast_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Bfloat16 autocast where the device computes it natively, else nothing.

    Convolutions take about half the time on CPUs with AVX512-BF16 or AMX; on others bfloat16 is
    emulated and slower than float32.
    """
    import torch

    if _full_precision.get():
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16) if has_fast_bfloat16(device) else nullcontext()


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tells whether a device computes bfloat16 natively."""
    return device.type == "cuda" or (device.type == "cpu" and _cpu_has_bfloat16())


@contextmanager
def full_precision() -> Iterator[None]:
    """Disables `fast_autocast` within the block: for exported graphs, and to compare machines."""
    token = _full_precision.set(True)
    try:
        yield
    finally:
        _full_precision.reset(token)


def _cpu_has_bfloat16() -> bool:
    import torch

    capabilities = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    if not str(capabilities).startswith(("AVX512", "AMX")):
        return False
    # The capability does not name the extension; oneDNN's own answer does.
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported is not None and supported())
