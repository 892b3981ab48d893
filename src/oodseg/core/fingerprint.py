"""Fingerprints: what tells that a file, a setting or a network is still the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any


def hash_bytes(data: bytes) -> str:
    """Computes the SHA-256 of bytes, in hexadecimal digits."""
    return hash_stream([data])


def hash_stream(pieces: Iterable[bytes]) -> str:
    """Computes the SHA-256 of pieces as if they were one; they need not be in memory all at once."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def hash_file(path: str | os.PathLike[str]) -> str:
    """Computes the SHA-256 of a file's bytes.

    Raises:
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_identity(path: Path) -> list[Any]:
    """Returns the place, size and time of a file, JSON-able; of a missing file size and time are -1."""
    try:
        status = path.stat()
    except OSError:  # the next reader of the file reports the error
        return [os.path.abspath(path), -1, -1]
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]


def hash_json(value: Any) -> str:
    """Computes the SHA-256 of a JSON-able value; the order of a mapping's keys does not matter."""
    return hash_bytes(json.dumps(value, sort_keys=True).encode())


def hash_part(part: Any) -> str:
    """Computes the SHA-256 of a part's settings and, where it is a network of torch, of its weights.

    Args:
        part: A part with a JSON-able `config`. Weights count as float32, on whatever device they lie.
    """
    return hash_stream(chain([json.dumps(part.config, sort_keys=True).encode()], _weights(part)))


def hash_weights(network: Any) -> str:
    """Computes the SHA-256 of a network's weights, as float32; of anything else that of nothing."""
    return hash_stream(_weights(network))


def _weights(network: Any) -> Iterator[bytes]:
    import torch

    state = network.state_dict() if isinstance(network, torch.nn.Module) else {}
    for name, tensor in sorted(state.items()):
        yield name.encode() + tensor.detach().float().cpu().numpy().tobytes()


def stable_number(text: str) -> int:
    """Turns a name into a number of 160 bits that is the same everywhere: to split a set by its names."""
    return int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16)
