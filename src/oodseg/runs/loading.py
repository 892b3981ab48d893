"""Loads the pipeline of a run and identifies it, so that results of another one are not reused."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from oodseg.core.bundle import find_bundle, read_pipeline_config
from oodseg.core.devices import choose_device
from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import hash_bytes, hash_file, hash_part
from oodseg.core.limits import Limits
from oodseg.core.parts import Part, Sight, describe
from oodseg.core.runtimes import choose_runtime
from oodseg.core.spec import ROOMS, read_spec
from oodseg.io.masks import read_mask
from oodseg.pipeline import S2M
from oodseg.runs.model_files import model_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction

    Pipeline = str | os.PathLike[str] | Callable[..., Prediction]


class Deferred:
    """A pipeline that is loaded when it is first called: a run that is finished never needs it."""

    def __init__(self, make: Callable[[], S2M]) -> None:
        self._make, self._made = make, cast("S2M | None", None)

    def load(self) -> S2M:
        """Loads the pipeline, once."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def __call__(self, image: Any, **given: Any) -> Prediction:
        """See `S2M.__call__`."""
        return self.load()(image, **given)

    def look_at(self, images: Sequence[NDArray[np.uint8]]) -> list[Sight]:
        """See `S2M.look_at`."""
        return self.load().look_at(images)


def load(
    pipeline: Pipeline,
    settings: Mapping[str, Any] | None = None,
    *,
    defer: bool = False,
    device: str | int = "auto",
    precision: str = "auto",
    size: int | None = None,
    runtime: str = "torch",
    ignore: str | os.PathLike[str] | NDArray[np.bool_] | None = None,
    with_detector: bool = True,
    operating_point: str | None = None,
    limits: Limits | None = None,
    **parts: Any,
) -> tuple[Callable[..., Prediction], dict[str, Any]]:
    """Loads a pipeline.

    Args:
        pipeline: Bundled name, folder, or a pipeline in memory, which is handed back.
        settings: JSON-able: names the pipeline in place of what is known of it.
        defer: Whether a pipeline that needs no fitting and is identified by files may come as `Deferred`.
        device: Where a named pipeline runs: see `S2M`.
        precision: What it computes in: see `S2M`.
        size: Long side in pixels at which a named pipeline looks at images; None for its own choice.
        runtime: What runs its networks: see `S2M`.
        ignore: Where a named pipeline finds nothing: bool `[h, w]`, or an image that `read_mask` reads.
        with_detector: Whether a named pipeline gets a detector.
        operating_point: Of a named pipeline: `"quiet"`, `"balanced"`, `"thorough"` or `"calibrated"`; None
            for the pipeline's own.
        limits: Of a named pipeline; None for none.
        **parts: `detector`, `prompts` and `masks` of a named pipeline: see `S2M.from_pretrained`.

    Returns:
        The pipeline, and JSON-able settings that are equal only for pipelines that give equal results.

    Raises:
        ConfigError: An unknown part, no GPU, parts for a pipeline that is built already, or a pipeline of
            which nothing is known and that has no `settings`.
        WeightsError: The pipeline is missing, damaged, or of another version.
    """
    chosen_limits = {} if limits is None else limits.limits
    how: dict[str, Any] = {} if precision == "auto" else {"precision": precision}
    if size is not None:
        how["working_side"] = (size, size)
    if runtime != "torch":  # the reference goes without saying
        how["runtime"] = choose_runtime(runtime, choose_device(device))
    if not isinstance(pipeline, str | os.PathLike):
        if (
            chosen_limits
            or how
            or any(each is not None for each in (ignore, operating_point, *parts.values()))
        ):
            raise ConfigError(
                "parts, size, precision, runtime, operating point, limits and what to ignore are chosen "
                "for a pipeline that is named: put them into S2M(...)"
            )
        return pipeline, dict(_describe(pipeline) if settings is None else settings)
    name = os.fspath(pipeline)
    chosen = {key: read_spec(spec) for key, spec in parts.items()}
    given = {key: spec for key, spec in chosen.items() if spec is not None}
    if not with_detector:
        chosen["detector"] = given["detector"] = None
    mask = None
    if ignore is not None:
        mask = read_mask(ignore) if isinstance(ignore, str | os.PathLike) else np.asarray(ignore, bool)

    def make() -> S2M:
        options: dict[str, Any] = {"operating_point": operating_point, "ignore": mask, **chosen_limits, **how}
        return S2M.from_pretrained(name, choose_device(device), **options, **given)

    if settings is not None:
        return make(), dict(settings)
    if not all(part is None or isinstance(part, str | Mapping) for part in chosen.values()):
        made = make()
        return made, _describe(made)
    kept = read_pipeline_config(find_bundle(name))
    # A calibrated pipeline may choose its own operating point.
    ready = not defer or kept.get("guarantee") is not None or not _is_fitted(kept, given)
    s2m = make() if ready else Deferred(make)
    point = s2m.operating_point if isinstance(s2m, S2M) else operating_point or "quiet"
    used = [given.get(key, kept[key]) for key in ROOMS]
    known = {"pipeline": name, "pipeline_sha256": pipeline_sha256(name), "operating_point": point, **chosen}
    return s2m, {**known, **how, "limits": chosen_limits, "models": model_files(*used), **_ignored(mask)}


def _is_fitted(kept: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Tells whether a saved pipeline, with other parts in place of some of its own, is known to be fitted."""
    if "detector" in given:
        return given["detector"] is None
    return bool(kept["detector"] and kept["detector"].get("normalizer"))


def read_limits(
    operating_point: str | None, min_confidence: float | None, min_area: int, max_objects: int | None
) -> Limits:
    """Reads what a run may choose of the objects of a named pipeline.

    Raises:
        ConfigError: A number out of range, or a least confidence beside an operating point.
    """
    if operating_point is not None and min_confidence is not None:
        raise ConfigError("a least confidence stands in place of an operating point: give one of them")
    return Limits(min_confidence, min_area, max_objects)


def pipeline_sha256(name: str) -> str:
    """Computes the SHA-256 of a saved pipeline's configuration, which names the checksums of its weights.

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
            "nothing is known of this pipeline, so its results could not be told from those of another "
            'one: name it, e.g. settings={"pipeline": "mine"}'
        )
    found: dict[str, Any] = {
        "pipeline": pipeline.name,
        "working_side": list(pipeline.working_side),
        "precision": pipeline.precision,
        "operating_point": pipeline.operating_point,
        "limits": pipeline.limits,
        "guarantee": None if pipeline.guarantee is None else asdict(pipeline.guarantee),
    }
    for key, part in (("prompts", pipeline.prompts), ("masks", pipeline.masks)):
        found[key] = _describe_part(part)
    if pipeline.detector is not None:
        found["detector"] = _describe_part(pipeline.detector)
    found["models"] = model_files(*(found[key] for key in ROOMS if key in found))
    return found | _ignored(pipeline.ignore)


def _describe_part(part: Part) -> dict[str, Any]:
    from torch import nn

    try:
        found = describe(part)
    except ConfigError as error:
        raise ConfigError(f'{error}; or name the pipeline, e.g. settings={{"pipeline": "mine"}}') from error
    if isinstance(part, nn.Module):
        found["sha256"] = hash_part(part)
    return found


def _ignored(mask: NDArray[np.bool_] | None) -> dict[str, Any]:
    return {} if mask is None else {"ignore_sha256": hash_bytes(mask.tobytes())}
