"""Reads YAML files, in which no key may stand twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """Reads a YAML or JSON file without executing anything in it.

    Raises:
        ConfigError: It cannot be opened, is no YAML, or has a key twice, of which YAML would take the last.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that stands twice in one mapping."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            """Makes a dictionary of a mapping."""
            seen = set[str]()
            for key, _ in node.value:
                if key.value in seen:
                    fault = f"'{key.value}' stands there twice"
                    raise yaml.constructor.ConstructorError(None, None, fault, key.start_mark)
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(path.read_text(encoding="utf-8-sig"), Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: check the path for typing errors") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be opened ({error.strerror or error}): check the path") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        fault = " ".join(str(error).split()).replace(' in "<unicode string>",', ",")
        raise ConfigError(f"{path} cannot be read as YAML ({fault}): check it") from error
