"""Changes single entries of a recipe, as `--set KEY=VALUE` does."""

from __future__ import annotations

from collections.abc import Iterable
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
            raise ConfigError(
                f"--set {change} names no entry of the recipe: write KEY=VALUE with one of "
                f"{', '.join(values)} (--print-recipe shows them all)"
            )
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


def recipe_yaml(recipe: BaseModel) -> str:
    """Writes a recipe as the YAML that it can be read from again."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
