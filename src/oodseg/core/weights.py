"""Packs learned weights for a file: as float16, or in 8 bits with one scale per output channel.

Symmetric weight-only quantisation per channel (Krishnamoorthi, 2018, arXiv 1806.08342,
Sec. 3.1): weights are stored in 8 bits and used in float32 as ever.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from oodseg.core.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

BITS = (16, 8)
_SCALE = ".scale"
_LARGEST = 127
# Below this, one scale per channel costs more than 8 bits save.
_SMALLEST = 1024
_LENGTH = 8  # bytes that say how long the header of safetensors is, which is a multiple of them


def check_bits(bits: int) -> None:
    """Checks that weights can be stored with that many bits.

    Raises:
        ConfigError: They cannot.
    """
    if bits not in BITS:
        raise ConfigError(f"weights are stored in {' or '.join(map(str, BITS))} bits, not in {bits}")


def check_weights(state: Mapping[str, Tensor], source: object) -> None:
    """Checks that weights hold no NaN, with which a network finds nothing and does not say so.

    Args:
        state: Tensors by name.
        source: What they come from, as the error calls it.

    Raises:
        WeightsError: One of them does.
    """
    fault = next((name for name, each in state.items() if bool(each.isnan().any())), None)
    if fault is not None:
        raise WeightsError(
            f"the weights {source} hold NaN (first in {fault}), as after a training that diverged: take an "
            "earlier checkpoint, or train again with a lower learning rate"
        )


def pack(state: Mapping[str, Tensor], bits: int = 16, exact: Collection[str] = ()) -> dict[str, Tensor]:
    """Converts tensors to the form in which they are stored.

    Args:
        state: Tensors by name.
        bits: 16: floating ones become float16. 8: of these, those of at least 1,024 numbers and two
            dimensions become int8 instead, each with a float32 tensor `NAME.scale` beside it: one number for
            every index of the first dimension.
        exact: Names of those that stay as they are.

    Raises:
        ConfigError: Another number of bits.
    """
    check_bits(bits)
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        each = value.detach().cpu()
        if each.is_floating_point() and name not in exact:
            if bits == 8 and each.ndim >= 2 and each.numel() >= _SMALLEST:
                each = each.float()
                scale = each.flatten(1).abs().amax(1).clamp_min(1e-12) / _LARGEST
                packed[name + _SCALE] = scale
                each = (each / _along(scale, each)).round().char()
            else:
                each = each.half()
        packed[name] = each.contiguous()
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts stored tensors back to float32; those neither float16 nor packed in 8 bits stay unchanged."""
    import torch

    scales = {
        name
        for name in tensors
        if name.endswith(_SCALE)
        and name.removesuffix(_SCALE) in tensors
        and tensors[name.removesuffix(_SCALE)].dtype == torch.int8
    }
    state: dict[str, Tensor] = {}
    for name, each in tensors.items():
        if name in scales:
            continue
        if name + _SCALE in scales:
            state[name] = each.float() * _along(tensors[name + _SCALE], each)
        else:
            state[name] = each.float() if each.dtype == torch.float16 else each
    return state


def to_safetensors(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    """Writes tensors in the format of safetensors: the same ones always as the same bytes.

    The library writes its notes in another order every time.

    Args:
        tensors: By name.
        notes: What the header says beside them.
    """
    from safetensors.torch import save

    data: bytes = save(dict(tensors), metadata=dict(notes))
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    header = json.loads(data[_LENGTH:end])
    header["__metadata__"] = dict(sorted(notes.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH)
    return len(text).to_bytes(_LENGTH, "little") + text + data[end:]


def _along(scale: Tensor, like: Tensor) -> Tensor:
    return scale.float().view(-1, *[1] * (like.ndim - 1))
