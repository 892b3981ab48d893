"""Reads YAML files, in which no key may stand twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError
from oodseg.core.texts import read_text

_WHOLE = re.compile(r"[-+]?[0-9][0-9_]*$|0x[0-9a-fA-F]+$")
_DECIMAL = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.?[0-9]*)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)


def read_yaml(path: Path) -> Any:
    """Reads a YAML or JSON file without executing anything in it.

    Raises:
        ConfigError: It cannot be opened, is no YAML, or has a key twice, of which YAML would take the last.
    """
    import yaml

    try:
        return parse_yaml(read_text(path))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: check the path for typing errors") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be opened ({error.strerror or error}): check the path") from error
    except (UnicodeError, yaml.YAMLError, RecursionError) as error:
        fault = " ".join(str(error).split()).replace(' in "<unicode string>",', ",")
        raise ConfigError(f"{path} cannot be read as YAML ({fault}): check it") from error


def parse_yaml(text: str) -> Any:
    """Reads YAML or JSON as `read_yaml` does: numbers are those of YAML 1.2, and dates and times are texts.

    Raises:
        YAMLError: It is no YAML, or has a key twice.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that stands twice in one mapping."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            """Makes a dictionary of a mapping."""
            seen = set[str]()
            for key, _ in node.value:
                if isinstance(key.value, str) and key.value in seen:
                    fault = f"'{key.value}' stands there twice"
                    raise yaml.constructor.ConstructorError(None, None, fault, key.start_mark)
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

        def whole(self, node: Any) -> int:
            """Reads a whole number."""
            text = node.value.replace("_", "")
            return int(text, 16 if text.startswith("0x") else 10)

    # Numbers as JSON and YAML 1.2 have them: 1e-4 is one, 010 is ten, and 12:30 is none.
    other = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}
    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] not in other]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_constructor("tag:yaml.org,2002:int", Loader.whole)
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _WHOLE, list("-+0123456789"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _DECIMAL, list("-+0123456789."))
    return yaml.load(text, Loader)
