"""Builds parts from their specs; the grammar is that of `oodseg.core.spec`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from oodseg.core.bundle import bundled_names, find_bundle, load_weights, read_config
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.learned_later import LEARNED_LATER, read_statistics
from oodseg.core.option_kinds import check_kinds
from oodseg.core.parts import (
    Detector,
    Judge,
    Learned,
    Part,
    PromptableSegmenter,
    PromptGenerator,
    Segmenter,
    parameters,
)
from oodseg.core.registry import maker_of
from oodseg.core.spec import ROOMS, check_known, parse
from oodseg.core.starting import weights_left_unset
from oodseg.core.version import __version__

_CONTRACTS: dict[str, type[Part]] = {
    "detectors": Detector,
    "segmenters": Segmenter,
    "scores": Part,
    "prompts": PromptGenerator,
    "masks": PromptableSegmenter,
    "failures": Judge,
}
# Where a room's learned parts are saved: the folder of those that ship, and the entry of `config.json`.
_HOMES = {room: ((), key) for key, room in ROOMS.items()} | {"failures": (("failures",), "failure_detector")}

# Files that are no pipelines: what the authors of a method published.
_CHECKPOINTS = (".pth", ".pt", ".safetensors")


def build(room: str, spec: Any) -> Any:
    """Builds a part.

    Args:
        room: `"detectors"`, `"segmenters"`, `"scores"`, `"prompts"`, `"masks"` or `"failures"`.
        spec: A word, a file or a mapping; or a part, which is handed back.

    Raises:
        ConfigError: An unknown name or option, a missing one, a learned part without weights, or something
            that is no part of that room.
        WeightsError: The part's weights are missing or damaged.
    """
    if not isinstance(spec, str | Path | Mapping):
        return check_part(room, spec)
    return construct(room, parse(room, spec), weights_follow=False)


def build_segmenter(spec: str | Mapping[str, Any] | Segmenter) -> Segmenter:
    """Builds a segmenter; see `build`. `street` is the network of the street pipeline."""
    built: Segmenter = build("segmenters", spec)
    return built


def choose_part(folder: Path, config: dict[str, Any], key: str, spec: Any) -> Any:
    """Builds the part that a saved pipeline is to run with.

    Args:
        folder: The pipeline's folder.
        config: What `read_config` returned.
        key: `"detector"`, `"prompts"` or `"masks"`.
        spec: `"bundled"` for the pipeline's own part; otherwise see `build`. A learned part of the same name
            as its own comes from this pipeline, with the given arguments in place of its own.
    """
    if spec == "bundled":
        return load_part(folder, config, key)
    room = ROOMS[key]
    if not isinstance(spec, str | Path | Mapping):
        return check_part(room, spec)
    options = parse(room, spec)
    maker = maker_of(room, options["name"])
    if options["name"] == config[key].get("name") and _is_learned(maker) and "source" not in options:
        return load_part(folder, config, key, _checked(room, maker, options))
    return construct(room, options, weights_follow=False)


def load_part(
    folder: Path, config: Mapping[str, Any], key: str, changes: Mapping[str, Any] | None = None
) -> Any:
    """Builds a part that is saved in a folder and loads its weights.

    Args:
        folder: Of a pipeline or a failure detector.
        config: What `read_config` returned: the entry `key`, and under `"weights"` its file.
        key: `"detector"`, `"prompts"`, `"masks"` or `"failure_detector"`.
        changes: Arguments in place of the saved ones.

    Raises:
        WeightsError: A weight file is missing, damaged, or does not fit the part, or the entry describes
            none.
        ConfigError: The changes cannot be made.
    """
    room = next(room for room, (_, entry) in _HOMES.items() if entry == key)
    file = config.get("weights", {}).get(key)
    try:
        with nullcontext() if file is None else weights_left_unset():
            part = construct(room, parse(room, {**config[key], **(changes or {})}), weights_follow=True)
    except (ConfigError, TypeError, KeyError) as error:
        if changes and isinstance(error, ConfigError):
            raise  # about what was asked for, not about what is saved
        raise WeightsError(
            f"{folder / 'config.json'}: the entry '{key}' does not fit this oodseg {__version__} ({error}); "
            "install the version that wrote it, or save it again"
        ) from error
    if file is not None:
        load_weights(part, folder / file["file"], file.get("sha256"))
    elif any(isinstance(each, Learned) for each in (part, *_within(part))):
        raise WeightsError(
            f"{folder / 'config.json'} names no weight file for the entry '{key}': fetch or save it again"
        )
    return part


def check_part(room: str, part: Any) -> Any:
    """Returns a part after checking that it fulfils the contract of a room.

    Raises:
        ConfigError: It does not.
    """
    contract = _CONTRACTS[room]
    if not isinstance(part, contract):
        remedy = (
            "a network becomes a detector as LogitDetector(CallableSegmenter(network))"
            if contract is Detector
            else f"derive it from oodseg.core.parts.{contract.__name__}, or name a part that there is"
        )
        raise ConfigError(f"a {type(part).__name__} is not one of the {room}: {remedy}")
    return part


def construct(room: str, spec: Mapping[str, Any], weights_follow: bool) -> Any:
    """Builds a part from a mapping with a name.

    Args:
        room: See `build`.
        spec: What `parse` or `describe` returned.
        weights_follow: Whether the caller loads weights afterwards, those of parts within included: only then
            may they be random.

    Raises:
        ConfigError: See `build`.
    """
    maker = maker_of(room, spec["name"])
    options = _checked(room, maker, spec)
    if _is_learned(maker) and not weights_follow and not _loads_itself(maker, options):
        return _with_weights(room, spec["name"], options)
    return check_part(room, _call(room, spec["name"], maker, options, weights_follow))


def _call(
    room: str, name: str, maker: Callable[..., Any], options: Mapping[str, Any], weights_follow: bool
) -> Any:
    arguments = dict(options)
    owner = f"'{name}' among the {room}"
    learned = {key: arguments.pop(key, None) for key in LEARNED_LATER.get(room, {})}
    known = parameters(maker)
    missing = [key for key, each in known.items() if each.default is each.empty and key not in arguments]
    if missing == ["source"]:
        raise ConfigError(f"{owner} needs a source: write {name}:ID, FOLDER or FILE")
    if missing:
        raise ConfigError(f"{owner} needs {', '.join(missing)}")
    for key, kind in _subparts(maker).items():
        value = arguments.get(key)
        if isinstance(kind, str) and value is not None:
            arguments[key] = _part(kind, value, weights_follow)
        elif isinstance(kind, type) and isinstance(value, Mapping):
            arguments[key] = _settings(kind, value, f"{key} of {owner}", weights_follow)
    built = maker(**arguments)
    for key, value in learned.items():
        if value is not None:
            setattr(built, key, LEARNED_LATER[room][key](value, owner))
    return built


def _part(room: str, value: Any, weights_follow: bool) -> Any:
    """Builds a part that is an argument of another one, or a list of them; parts are handed back."""
    if isinstance(value, list | tuple):
        return [_part(room, each, weights_follow) for each in value]
    if isinstance(value, str | Path | Mapping):
        return construct(room, parse(room, value), weights_follow)
    return value


def _settings(kind: type, value: Mapping[str, Any], owner: str, weights_follow: bool) -> Any:
    """Builds an argument that can be of one class only."""
    options = {key: each for key, each in value.items() if key != "name"}
    if issubclass(kind, Part) and value.get("name", kind.name) != kind.name:
        raise ConfigError(f"the {owner} is always '{kind.name}', not '{value['name']}': leave the name out")
    check_known(options, parameters(kind), f"the {owner}")
    if issubclass(kind, Learned) and not weights_follow:
        raise ConfigError(
            f"the {owner} has learned weights, which no mapping can hold: name the source of the whole "
            "instead"
        )
    return kind(**options)


def _with_weights(room: str, name: str, options: Mapping[str, Any]) -> Any:
    """A learned part out of the pipeline that is its source."""
    inside, key = _HOMES.get(room, ((), "detector"))
    changes = {option: value for option, value in options.items() if option != "source"}
    source = options.get("source", name if name in bundled_names(*inside) else None)
    if source is None:
        bundled = ", ".join(bundled_names(*inside)) or "none"
        if room == "failures":
            raise ConfigError(
                f"the failure detector '{name}' must be trained first: give the folder that the training "
                f"wrote, or a bundled one ({bundled})"
            )
        raise ConfigError(
            f"'{name}' among the {room} has learned weights: say where they are, {name}:FOLDER of a saved "
            f"pipeline or one of those that ship ({bundled})"
        )
    if Path(source).suffix in _CHECKPOINTS:
        return _from_checkpoint(room, name, Path(source).expanduser(), changes)
    folder = find_bundle(source, *inside)
    config = read_config(folder)
    if room in _HOMES:
        if config.get(key, {}).get("name") != name:
            raise ConfigError(f"the {key} of {source} is no '{name}': name another source")
        return load_part(folder, config, key, changes)
    if changes:
        raise ConfigError(f"'{name}' among the {room} comes from {source} as it is: leave out {min(changes)}")
    kind = _CONTRACTS[room]
    for part in _within(load_part(folder, config, key)):
        if isinstance(part, kind) and part.name == name:
            return part
    raise ConfigError(f"the {key} of {source} holds no '{name}' of the {room}: name another source")


def _from_checkpoint(room: str, name: str, path: Path, options: Mapping[str, Any]) -> Any:
    """Reads a file of a release, for a learned part whose class knows such files."""
    maker, arguments = maker_of(room, name), dict(options)
    assert isinstance(maker, type) and issubclass(maker, Learned)  # noqa: PT018 - or it would not be here
    normalizer, owner = arguments.pop("normalizer", None), f"'{name}' of {path}"
    check_known(arguments, [each for each in parameters(maker.from_checkpoint) if each != "path"], owner)
    built = maker.from_checkpoint(path, **arguments)
    if normalizer is not None and isinstance(built, Detector):
        built.normalizer = read_statistics(normalizer, owner)
    return check_part(room, built)


def _within(part: Part) -> Iterator[Part]:
    """The parts among a part's arguments, and those among theirs."""
    for value in part.arguments().values():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Part):
                yield each
                yield from _within(each)


def _checked(room: str, maker: Callable[..., Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments in a mapping, all of them known."""
    options = {key: value for key, value in spec.items() if key != "name"}
    known = list(parameters(maker))
    if _is_learned(maker) and "source" not in known:
        known.append("source")
    known += [key for key in LEARNED_LATER.get(room, {}) if key not in known]
    owner = f"'{spec['name']}' among the {room}"
    check_known(options, known, owner)
    check_kinds(options, parameters(maker), owner)
    return options


def _is_learned(maker: Callable[..., Any]) -> bool:
    return isinstance(maker, type) and issubclass(maker, Learned)


def _loads_itself(maker: Callable[..., Any], options: Mapping[str, Any]) -> bool:
    """Tells whether the constructor of a learned part finds its weights."""
    source = parameters(maker).get("source")
    return source is not None and ("source" in options or source.default not in {None, source.empty})


def _subparts(maker: Callable[..., Any]) -> Mapping[str, str | type]:
    return maker.subparts if isinstance(maker, type) and issubclass(maker, Part) else {}
