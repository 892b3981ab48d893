"""Loads the pipeline of a run and identifies it, so that results of another one are not reused."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.bundle import find_bundle, read_pipeline_config
from oodseg.core.devices import choose_device
from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import hash_bytes, hash_file, hash_part
from oodseg.core.parts import Part, describe
from oodseg.core.spec import ROOMS, read_spec
from oodseg.io.masks import read_mask
from oodseg.pipeline import S2M
from oodseg.runs.model_files import model_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction

    Pipeline = str | os.PathLike[str] | Callable[..., Prediction]


def load(
    pipeline: Pipeline,
    settings: Mapping[str, Any] | None = None,
    *,
    device: str = "cpu",
    ignore: str | os.PathLike[str] | NDArray[np.bool_] | None = None,
    with_detector: bool = True,
    operating_point: str | None = None,
    **parts: Any,
) -> tuple[Callable[..., Prediction], dict[str, Any]]:
    """Loads a pipeline.

    Args:
        pipeline: Bundled name, folder, or a pipeline in memory, which is handed back.
        settings: JSON-able: names the pipeline in place of what is known of it.
        device: Where a named pipeline runs: `"cpu"`, `"cuda"` or `"auto"`.
        ignore: Where a named pipeline finds nothing: bool `[h, w]`, or an image that `read_mask` reads.
        with_detector: Whether a named pipeline gets a detector.
        operating_point: Of a named pipeline: `"quiet"`, `"balanced"`, `"thorough"` or `"calibrated"`; None
            for the pipeline's own.
        **parts: `detector`, `prompts` and `masks` of a named pipeline: see `S2M.from_pretrained`.

    Returns:
        The pipeline, and JSON-able settings that are equal only for pipelines that give equal results.

    Raises:
        ConfigError: An unknown part, no GPU, parts for a pipeline that is built already, or a pipeline of
            which nothing is known and that has no `settings`.
        WeightsError: The pipeline is missing, damaged, or of another version.
    """
    if not isinstance(pipeline, str | os.PathLike):
        if ignore is not None or any(part is not None for part in parts.values()):
            raise ConfigError(
                "parts and what to ignore are chosen for a pipeline that is named: put them into S2M(...)"
            )
        return pipeline, dict(_describe(pipeline) if settings is None else settings)
    name = os.fspath(pipeline)
    chosen = {key: read_spec(spec) for key, spec in parts.items()}
    given = {key: spec for key, spec in chosen.items() if spec is not None}
    if not with_detector:
        chosen["detector"] = given["detector"] = None
    s2m = S2M.from_pretrained(name, choose_device(device), operating_point=operating_point, **given)
    if ignore is not None:
        s2m.ignore = read_mask(ignore) if isinstance(ignore, str | os.PathLike) else np.asarray(ignore, bool)
    if settings is not None:
        return s2m, dict(settings)
    if not all(part is None or isinstance(part, str | Mapping) for part in chosen.values()):
        return s2m, _describe(s2m)
    known = {
        "pipeline": name,
        "pipeline_sha256": pipeline_sha256(name),
        "operating_point": s2m.operating_point,
    }
    kept = read_pipeline_config(find_bundle(name))
    used = [given.get(key, kept[key]) for key in ROOMS]
    return s2m, {**known, **chosen, "models": model_files(*used), **_ignored(s2m)}


def pipeline_sha256(name: str) -> str:
    """SHA-256 of a saved pipeline's configuration, which names the checksums of its weights.

    Args:
        name: Bundled name or folder.

    Raises:
        WeightsError: There is no such pipeline.
    """
    return hash_file(find_bundle(name) / "config.json")


def _describe(pipeline: Any) -> dict[str, Any]:
    """The parts of a pipeline in memory, with their arguments and checksums of their weights."""
    if not isinstance(pipeline, S2M):
        raise ConfigError(
            "nothing is known of this pipeline, so that nobody could tell its results from those of another "
            'one: name it, as settings={"pipeline": "mine"}'
        )
    found: dict[str, Any] = {
        "pipeline": pipeline.name,
        "working_side": list(pipeline.working_side),
        "operating_point": pipeline.operating_point,
        "guarantee": None if pipeline.guarantee is None else asdict(pipeline.guarantee),
    }
    for key, part in (("prompts", pipeline.prompts), ("masks", pipeline.masks)):
        found[key] = _describe_part(part)
    if pipeline.detector is not None:
        found["detector"] = _describe_part(pipeline.detector)
    found["models"] = model_files(*(found[key] for key in ROOMS if key in found))
    return found | _ignored(pipeline)


def _describe_part(part: Part) -> dict[str, Any]:
    from torch import nn

    try:
        found = describe(part)
    except ConfigError as error:
        raise ConfigError(f'{error}; or name the pipeline, as settings={{"pipeline": "mine"}}') from error
    if isinstance(part, nn.Module):
        found["sha256"] = hash_part(part)
    return found


def _ignored(s2m: S2M) -> dict[str, Any]:
    return {} if s2m.ignore is None else {"ignore_sha256": hash_bytes(s2m.ignore.tobytes())}
