"""What users type for a part: `segformer:ID+energy`, `sam:ID`, `grabcut`, or the same as a YAML mapping.

| typed | part |
|---|---|
| `NAME` | a part that needs nothing else: `grabcut`, `components`, `street` |
| `FAMILY:SOURCE` | a family and where its weights are: a hub id, a folder or a file |
| `FAMILY:SOURCE+SCORE` | a detector: a segmenter and the score that reads it |
| `FILE.yaml` | a mapping, which has all options |

As a mapping, a part is `name`, `source` where it has one, and its options. A detector made of a segmenter
is `segmenter` (itself `FAMILY:SOURCE` or a mapping), `score` (a name, or a mapping of `name` and options),
`smooth`, and `window`, `overlap` and `scales` as `TiledSegmenter` takes them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oodseg.core.bundle import ROOMS, find_bundle, load_part, read_config
from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmenter
from oodseg.core.registry import resolve, table

_TILING = ("window", "overlap", "scales")
_LOGIT_KEYS = ("segmenter", "score", "smooth", *_TILING)
_PIPELINE_KEYS = ("pipeline", *ROOMS)
_SCORE = re.compile(r"[a-z][a-z0-9_]*")


def build(room: str, spec: Any) -> Any:
    """Builds a part of a pipeline.

    Args:
        room: `"detector"`, `"prompts"` or `"masks"`.
        spec: What the user typed, or the mapping that a YAML file holds; anything else is a part already
            and is handed back.

    Raises:
        ConfigError: An unknown name or option, or a missing one.
        WeightsError: The part's weights are not there.
    """
    spec = read_spec(spec)
    if isinstance(spec, str):
        spec = _parse_detector(spec) if room == "detector" else _parse(spec)
    if not isinstance(spec, Mapping):
        return spec
    if room == "detector" and "name" not in spec:
        return _logit_detector(spec)
    return _construct(ROOMS[room], spec)


def choose_part(folder: Path, config: dict[str, Any], room: str, spec: Any) -> Any:
    """The part that a saved pipeline shall run with: its own, its own with other options, or another.

    Args:
        folder: The pipeline's folder.
        config: What `read_config` returned.
        room: See `build`.
        spec: See `build`; None, or the name of the pipeline's own part, for that one.
    """
    spec = read_spec(spec)
    own = config[room]
    if spec is None or spec == own["name"]:
        return load_part(folder, config, room)
    if not isinstance(spec, Mapping) or spec.get("name") != own["name"]:
        return build(room, spec)
    options = {key: value for key, value in spec.items() if key != "name"}
    package = ROOMS[room]
    _check_options(resolve(table(package), package, own["name"]), package, own["name"], options)
    changed = {**own, "config": {**own["config"], **options}}
    return load_part(folder, {**config, room: changed}, room)


def build_segmenter(spec: str | Mapping[str, Any] | Segmenter) -> Segmenter:
    """Builds a segmenter from `FAMILY:SOURCE` or a mapping; `street` is the network of the street pipeline.

    Raises:
        ConfigError: An unknown family or option, or a missing one.
        WeightsError: Its weights are not there.
    """
    if isinstance(spec, str):
        spec = _parse(spec)
    if not isinstance(spec, Mapping):
        return spec
    if spec.get("name") == "street":
        return _street(**{key: value for key, value in spec.items() if key != "name"})
    built: Segmenter = _construct("segmenters", spec)
    return built


def read_spec(spec: Any) -> Any:
    """Reads the mapping if the spec is the path of a YAML file; anything else is handed back.

    Raises:
        ConfigError: The file cannot be read or holds no mapping.
    """
    if not isinstance(spec, str | Path) or Path(spec).suffix.lower() not in {".yaml", ".yml"}:
        return spec
    import yaml

    try:
        found = yaml.safe_load(Path(spec).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{spec} cannot be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{spec} holds no mapping: write one option a line, as `name: value`")
    return dict(found)


def read_pipeline(path: Path) -> dict[str, Any]:
    """Reads a pipeline from YAML: `pipeline` (name or folder), `detector`, `prompts` and `masks`.

    Raises:
        ConfigError: The file cannot be read, or has other keys.
    """
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise ConfigError(f"the pipeline file {path} must be a .yaml file")
    found: dict[str, Any] = read_spec(path)
    _known(found, _PIPELINE_KEYS, str(path))
    return {key: read_spec(value) for key, value in found.items()}


def _parse(text: str) -> dict[str, Any]:
    name, _, source = text.partition(":")
    return {"name": name, "source": source} if source else {"name": name}


def _parse_detector(text: str) -> dict[str, Any]:
    """`street`, `street+entropy`, `segformer:ID`, `segformer:ID+energy` or `synthcp:FOLDER`."""
    head, plus, score = text.rpartition("+")
    name, _, source = text.partition(":")
    if source and name in table("detectors") and name not in table("segmenters"):
        return _parse(text)
    if not plus or not _SCORE.fullmatch(score) or (source and Path(source).exists()):
        return {"segmenter": text} if ":" in text else {"name": text}
    return {"segmenter": head, "score": score}


def _logit_detector(spec: Mapping[str, Any]) -> Any:
    _known(spec, _LOGIT_KEYS, "the detector")
    if "segmenter" not in spec:
        raise ConfigError(
            "the detector has neither name nor segmenter: write `segmenter: FAMILY:SOURCE`, "
            "or the name of a detector"
        )
    segmenter = build_segmenter(spec["segmenter"])
    tiling = {key: spec[key] for key in _TILING if key in spec}
    if tiling:
        segmenter = resolve(table("segmenters"), "segmenters", "tiled")(segmenter, **tiling)
    options = {key: spec[key] for key in ("score", "smooth") if key in spec}
    return resolve(table("detectors"), "detectors", "logit")(segmenter, **options)


def _street(source: str = "street") -> Segmenter:
    """The segmentation network inside a pipeline's `street` detector."""
    folder = find_bundle(source)
    network: Segmenter | None = getattr(load_part(folder, read_config(folder), "detector"), "network", None)
    if network is None:
        raise ConfigError(f"the detector of the pipeline {source} holds no street network: name another one")
    return network


def _construct(package: str, spec: Mapping[str, Any]) -> Any:
    options, registry = dict(spec), table(package)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            f"one of the {package} has no name: write `name:` and one of: {', '.join(registry)}"
        )
    maker = resolve(registry, package, name)
    _check_options(maker, package, name, options)
    return maker(**options)


def _check_options(maker: Callable[..., Any], package: str, name: str, options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(maker).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    _known(options, [each.name for each in parameters], f"'{name}' among the {package}")
    missing = [each.name for each in parameters if each.default is each.empty and each.name not in options]
    if missing == ["source"]:
        raise ConfigError(f"'{name}' among the {package} needs a source: write {name}:ID, FOLDER or FILE")
    if missing:
        raise ConfigError(f"'{name}' among the {package} cannot do without {', '.join(missing)}")


def _known(given: Mapping[str, Any], known: Any, owner: str) -> None:
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ConfigError(f"{owner} has no option '{unknown[0]}'; it takes: {', '.join(known) or 'none'}")
