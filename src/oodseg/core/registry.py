"""Looks parts up by name: in a room's plain dict first, then in other packages' entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError

_TABLES = {
    "detectors": "oodseg.detectors:DETECTORS",
    "segmenters": "oodseg.segmenters:SEGMENTERS",
    "scores": "oodseg.detectors.scores:SCORES",
    "prompts": "oodseg.prompts:PROMPTS",
    "masks": "oodseg.masks:MASKS",
    "failures": "oodseg.failures:FAILURES",
    "formats": "oodseg.exchange:FORMATS",
}
# Rooms that also take plain functions: `(name, registered function)` to a factory of parts.
_ADAPTERS = {"scores": "oodseg.detectors.scoring:score_maker"}


def table(room: str) -> Mapping[str, Any]:
    """Returns the plain dict of a room.

    Args:
        room: `"detectors"`, `"segmenters"`, `"scores"`, `"prompts"`, `"masks"`, `"failures"` or `"formats"`.

    Raises:
        ConfigError: There is no such room.
    """
    if room not in _TABLES:
        raise ConfigError(f"there is no room '{room}'; choose one of: {', '.join(_TABLES)}")
    found: Mapping[str, Any] = _load(_TABLES[room])
    return found


def names(room: str) -> list[str]:
    """Returns all names in a room, those of other packages included, in alphabetical order."""
    return sorted({*table(room), *_others(room)})


def maker_of(room: str, name: str) -> Callable[..., Any]:
    """Finds what builds the part of that name: a class or a function whose arguments are the part's.

    Raises:
        ConfigError: Nobody registered that name; the message lists those that exist.
    """
    found: Callable[..., Any] = resolve(table(room), room, name)
    if room in _ADAPTERS:
        found = _load(_ADAPTERS[room])(name, found)
    return found


_WEIGHTS = frozenset({".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".h5", ".pkl"})


def resolve(registry: Mapping[str, Any], room: str, name: str) -> Any:
    """Finds what was registered under a name without importing anything else.

    Args:
        registry: Name to `"module:attribute"`, as in `oodseg.masks.MASKS`, or to the thing itself.
        room: `"detectors"`, `"prompts"`, `"masks"`, ...; third parties register under the entry-point
            group `oodseg.<room>`.
        name: What the user typed.

    Raises:
        ConfigError: Nobody registered that name; the message lists those that exist.
    """
    if name in registry:
        target = registry[name]
        return _load(target) if isinstance(target, str) else target
    others = _others(room)
    if name in others:
        return others[name].load()
    known = ", ".join(sorted([*registry, *others]))
    raise ConfigError(f"there is no '{name}' among the {room}; choose one of: {known}{_hint(name)}")


def _hint(name: str) -> str:
    """Says what to do with a file or folder in the place of a name."""
    if Path(name).is_dir():
        return (
            "; a folder comes after the name of what reads it, as in segformer:FOLDER, one of `oodseg train` "
            "first goes into a pipeline (`oodseg train bundle`), and a pipeline is named with --pipeline"
        )
    suffix = Path(name).suffix.lower()
    if suffix in _WEIGHTS:
        return (
            "; weights come after the name of the network they belong to, as in deepwv3plus:weights.pth, "
            "and a network that is not among these is exported to ONNX and named as in onnx:network.onnx"
        )
    return "; a file comes after the name of what reads it, as in onnx:network.onnx" if suffix else ""


def _others(room: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"oodseg.{room}")}


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
