"""Checks that options written in a file are of the kind that the constructor of a part takes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError

# Only plain kinds are checked here; what is made of several values is checked by the part itself.
_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a text",
    "None": "nothing",
}


def check_kinds(options: Mapping[str, Any], known: Mapping[str, inspect.Parameter], owner: str) -> None:
    """Checks the options whose annotations are numbers, texts and truth values.

    Args:
        options: By name.
        known: The parameters of what takes them.
        owner: What takes them, as named in the error.

    Raises:
        ConfigError: One is of another kind, or no finite number.
    """
    for name, value in options.items():
        kinds = _kinds_of(known[name].annotation) if name in known else []
        if kinds and not any(_fits(value, kind) for kind in kinds):
            wanted = " or ".join(_KINDS[kind] for kind in kinds)
            raise ConfigError(f"{owner} takes {wanted} as {name}, not {value!r}")


def _kinds_of(annotation: Any) -> list[str]:
    """The plain kinds that an annotation names; none if it names another."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    kinds = [each.strip() for each in text.split("|")]
    return kinds if all(kind in _KINDS for kind in kinds) else []


def _fits(value: Any, kind: str) -> bool:
    if kind == "None":
        return value is None
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str | Path)
    if kind == "int":
        return isinstance(value, Integral)
    return isinstance(value, Real) and math.isfinite(value)
