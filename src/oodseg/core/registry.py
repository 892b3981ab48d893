"""Looks parts up by name: in a room's plain dict first, then in other packages' entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from oodseg.core.errors import ConfigError

_TABLES = {
    "detectors": "oodseg.detectors:DETECTORS",
    "segmenters": "oodseg.segmenters:SEGMENTERS",
    "prompts": "oodseg.prompts:PROMPTS",
    "masks": "oodseg.masks:MASKS",
}


def table(room: str) -> Mapping[str, str]:
    """The plain dict of a room: `"detectors"`, `"segmenters"`, `"prompts"` or `"masks"`."""
    module, _, attribute = _TABLES[room].partition(":")
    found: Mapping[str, str] = getattr(import_module(module), attribute)
    return found


def resolve(registry: Mapping[str, str], room: str, name: str) -> Any:
    """Finds the class behind a name without importing any other.

    Args:
        registry: Name to `"module:attribute"`, as in `oodseg.masks.MASKS`.
        room: `"detectors"`, `"prompts"` or `"masks"`; third parties register under the entry-point
            group `oodseg.<room>`.
        name: What the user typed.

    Raises:
        ConfigError: Nobody registered that name; the message lists those that exist.
    """
    target = registry.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)
    others = {point.name: point for point in entry_points(group=f"oodseg.{room}")}
    if name in others:
        return others[name].load()
    known = ", ".join(sorted([*registry, *others]))
    raise ConfigError(f"there is no '{name}' among the {room}; choose one of: {known}")
