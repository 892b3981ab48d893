"""The one grammar that names a part: on the command line, in YAML and JSON, in a saved pipeline, in Python.

| written | part |
|---|---|
| `NAME` | that part: `grabcut`, `components`, `street` |
| `NAME:SOURCE` | the same, and where its weights are: a hub id, a folder or a file |
| `SEGMENTER:SOURCE+SCORE` | a detector: a segmenter and the score that reads it; `SEGMENTER+SCORE` likewise |
| a mapping | `name` and the arguments of that part by name; parts among them in any of these forms |
| `FILE.yaml`, `FILE.json` | the mapping in that file |

A word is short for a mapping: `sam:ID` for `{name: sam, source: ID}`, and `segformer:ID+msp` for
`{name: logit, segmenter: {name: segformer, source: ID}, score: {name: msp}}`. The source of a learned part
whose constructor knows none is the pipeline that it lies in, by bundled name or folder.

`oodseg.core.build` makes the parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError
from oodseg.core.registry import names
from oodseg.core.yaml_files import read_yaml

# What a pipeline consists of: the entries of its files, and the rooms that they are looked up in.
ROOMS = {"detector": "detectors", "prompts": "prompts", "masks": "masks"}
_PIPELINE_KEYS = ("pipeline", *ROOMS, "runtime")
_SCORE = re.compile(r"[a-z][a-z0-9_]*")
_FILES = {".yaml", ".yml", ".json"}


def parse(room: str, spec: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Converts a spec to a mapping: `name` and arguments.

    Args:
        room: `"detectors"`, `"segmenters"`, `"scores"`, `"prompts"`, `"masks"` or `"failures"`.
        spec: Word, file or mapping.

    Returns:
        A new mapping; parts among its arguments are as they were given.

    Raises:
        ConfigError: A file that cannot be read, or a mapping without a name.
    """
    found = read_spec(spec)
    if isinstance(found, str | Path):
        return _detector_word(str(found)) if room == "detectors" else _word(str(found))
    if not isinstance(found, Mapping) or not isinstance(found.get("name"), str):
        raise ConfigError(
            f"one of the {room} has no name: write `name:` and one of: {', '.join(names(room))}"
        )
    return dict(found)


def read_spec(spec: Any) -> Any:
    """Reads the mapping if the spec is the path of a YAML or JSON file; anything else is handed back.

    Raises:
        ConfigError: The file cannot be read or holds no mapping.
    """
    if not isinstance(spec, str | Path) or Path(spec).suffix.lower() not in _FILES:
        return spec
    found = read_yaml(Path(spec))  # JSON is YAML too
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{spec} holds no mapping: write one option per line, as `name: value`")
    return dict(found)


def read_pipeline(path: Path) -> dict[str, Any]:
    """Reads a pipeline from YAML: `pipeline` (name or folder), `detector`, `prompts`, `masks`, `runtime`.

    Raises:
        ConfigError: The file cannot be read, or has other keys.
    """
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise ConfigError(f"the pipeline file {path} must be a .yaml file")
    found: dict[str, Any] = read_spec(path)
    check_known(found, _PIPELINE_KEYS, str(path))
    for key in ("pipeline", "runtime"):
        if not isinstance(found.get(key, ""), str):
            raise ConfigError(f"{path} has {found[key]!r} as {key}: write a name, in quotes if need be")
    return {key: read_spec(value) for key, value in found.items()}


def check_known(given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Checks that all options are known ones.

    Args:
        given: The options.
        known: Those that there are.
        owner: What takes them, as named in the error.

    Raises:
        ConfigError: One is not.
    """
    known = list(known)
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ConfigError(f"{owner} has no option '{unknown[0]}'; it takes: {', '.join(known) or 'none'}")


def _word(text: str) -> dict[str, Any]:
    name, _, source = text.partition(":")
    return {"name": name, "source": source} if source else {"name": name}


def _detector_word(text: str) -> dict[str, Any]:
    """`street`, `street+entropy`, `segformer:ID`, `segformer:ID+energy` or `synthcp:FOLDER`."""
    head, plus, score = text.rpartition("+")
    name, colon, source = text.partition(":")
    detectors = names("detectors")
    if source and name in detectors and name not in names("segmenters"):
        return _word(text)
    # A folder's own name may hold a plus.
    if plus and _SCORE.fullmatch(score) and not (source and Path(source).exists()):
        return {"name": "logit", "segmenter": _word(head), "score": {"name": score}}
    if name not in detectors and (colon or name in names("segmenters")):
        return {"name": "logit", "segmenter": _word(text)}
    return _word(text)
