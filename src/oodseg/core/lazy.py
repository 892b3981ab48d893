"""Imports the names of a package when they are first used: numpy and torch take seconds to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: dict[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Makes the `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: Its `globals()`; names are kept there once they were looked up.
        homes: The module that every name comes from.

    Example:
        `__getattr__, __dir__ = lazy_names(globals(), {"S2M": "oodseg.pipeline"})`
    """

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package['__name__']}' has no attribute '{name}'")
        package[name] = getattr(import_module(homes[name]), name)
        return package[name]

    def list_names() -> list[str]:
        return sorted({*package, *homes})

    return look_up, list_names
