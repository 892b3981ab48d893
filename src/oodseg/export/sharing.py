"""Graphs that hold the same weights keep them in one file beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ALIGNED = 64  # bytes; ONNX Runtime maps what begins at such a place
_LEAST = 1024  # bytes: smaller ones stay in their graphs


def share_weights(graphs: Sequence[Path], weights: Path) -> bool:
    """Moves weights that several graphs hold out of them, as external data of ONNX.

    Args:
        graphs: The files, all in one folder; those with such weights are written anew.
        weights: The file to write, in the same folder; none is written if nothing is shared.

    Returns:
        Whether there were any.
    """
    import onnx

    models = {path: onnx.load(str(path)) for path in graphs}
    holders = Counter(key for model in models.values() for key in {_key(each) for each in _large(model)})
    places: dict[Any, tuple[int, int]] = {}
    data = bytearray()
    changed: set[Path] = set()
    for path, model in models.items():
        for each in _large(model):
            key = _key(each)
            if holders[key] < 2:
                continue
            if key not in places:
                data.extend(bytes(-len(data) % _ALIGNED))
                places[key] = len(data), len(each.raw_data)
                data.extend(each.raw_data)
            _point_to(each, weights.name, *places[key])
            changed.add(path)
    if not changed:
        return False
    weights.write_bytes(data)
    for path in changed:
        path.write_bytes(models[path].SerializeToString())
    return True


def _large(model: Any) -> list[Any]:
    return [each for each in model.graph.initializer if len(each.raw_data) >= _LEAST]


def _key(tensor: Any) -> tuple[Any, ...]:
    return tensor.data_type, tuple(tensor.dims), tensor.raw_data


def _point_to(tensor: Any, file: str, offset: int, length: int) -> None:
    from onnx import TensorProto

    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
