"""Tells which options a user gave, and refuses those that others make meaningless."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from oodseg.core.errors import ConfigError


def was_typed(ctx: typer.Context, option: str) -> bool:
    """Tells whether the user gave an option, even if with its default value."""
    source = ctx.get_parameter_source(option)
    return source is not None and source.name not in {"DEFAULT", "DEFAULT_MAP"}


def refuse(ctx: typer.Context, options: Sequence[str], because: str) -> None:
    """Makes sure that options were not given that would have no effect.

    Args:
        ctx: Of the verb.
        options: Names of its parameters.
        because: What is said behind the name of the first that was given.

    Raises:
        ConfigError: One was given.
    """
    for option in options:
        if was_typed(ctx, option):
            raise ConfigError(f"--{option.replace('_', '-')} {because}")
