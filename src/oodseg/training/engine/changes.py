"""Changes single entries of a recipe, as `--set KEY=VALUE` does."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from oodseg.core.errors import ConfigError
from oodseg.core.yaml_files import parse_yaml

RecipeT = TypeVar("RecipeT", bound=BaseModel)


def change_recipe(recipe: RecipeT, changes: Iterable[str]) -> RecipeT:
    """Puts changes over a recipe.

    Args:
        recipe: The recipe; it stays as it is.
        changes: `KEY=VALUE` each, the value as YAML, the key of an entry inside an entry as `outer.inner`.

    Raises:
        ConfigError: No such entry, or a value that it cannot have.
    """
    values = recipe.model_dump()
    for change in changes:
        key, equals, text = change.partition("=")
        *path, last = key.strip().split(".")
        inside: Any = values
        for step in path:
            inside = inside.get(step) if isinstance(inside, dict) else None
        if not equals or not isinstance(inside, dict) or last not in inside:
            raise ConfigError(f"--set {change} {_fault(key.strip(), values)}")
        try:
            inside[last] = parse_yaml(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {change}: the value is not valid YAML; quote it") from None
    try:
        return type(recipe).model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"--set {where} cannot be used ({fault['msg']}): choose another value") from error


def _fault(key: str, values: dict[str, Any]) -> str:
    """Says what is wrong with a change that names no entry."""
    entries = _entries(values)
    if key in entries:
        return f"has no value: write {key}=VALUE"
    alike = get_close_matches(key, entries, 1)
    meant = f"; did you mean {alike[0]}?" if alike else ""
    return (
        f"names no entry of the recipe{meant}: write KEY=VALUE with one of "
        f"{', '.join(values)} (--print-recipe shows them all)"
    )


def _entries(values: dict[str, Any]) -> list[str]:
    """Lists all entries, those inside others as `outer.inner`."""
    inner = [
        f"{name}.{each}"
        for name, value in values.items()
        if isinstance(value, dict)
        for each in _entries(value)
    ]
    return [*values, *inner]


def recipe_yaml(recipe: BaseModel) -> str:
    """Writes a recipe as the YAML that it can be read from again."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
