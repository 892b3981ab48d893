"""Parses what names scores, and their statistics, on the command line."""

from __future__ import annotations

from pathlib import Path

from oodseg.core.errors import ConfigError


def read_score_folders(arguments: list[str]) -> dict[str, Path]:
    """Parses `NAME=DIR` or `DIR`.

    Raises:
        ConfigError: Two folders of one name.
    """
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        named = bool(equals) and not Path(argument).exists()
        path = Path(folder if named else argument)
        key = name if named else path.resolve().name
        if key in folders:
            raise ConfigError(
                f"two folders of scores are called '{key}': name them with --scores NAME={path}"
            )
        folders[key] = path
    return folders


def read_score_stats(arguments: list[str]) -> dict[str, str]:
    """Parses `NAME=MEAN,STD`, `MEAN,STD` or a folder in its place; without a name it is `""`.

    Raises:
        ConfigError: Two for one name.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        named = bool(equals) and not Path(argument).exists()
        key = name if named else ""
        if key in found:
            raise ConfigError(f"there are two --score-stats for {key or 'all scores'}: give one")
        found[key] = value if named else argument
    return found
