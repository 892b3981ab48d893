"""The result of a training on disk: the weights of a part, its recipe and its figures."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from oodseg.core.build import construct
from oodseg.core.bundle import load_weights, read_header
from oodseg.core.errors import ConfigError, WeightsError, cause
from oodseg.core.files import write_bytes, write_json
from oodseg.core.parts import Part, describe
from oodseg.core.spec import ROOMS
from oodseg.core.version import __version__
from oodseg.core.weights import pack, to_safetensors
from oodseg.training.engine.recipe import Recipe

_METRICS = "metrics.json"
_ROOMS = {**ROOMS, "segmenter": "segmenters"}


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        path: What it was for: a weight file, or a folder of failure detectors.
        metrics: Contents of the run's `metrics.json`: the recipe, the figures on validation data, and
            what else there is to say.
    """

    path: Path
    metrics: dict[str, Any]


def save_trained(
    out: Path,
    key: str,
    part: Part,
    recipe: Recipe,
    validation: Mapping[str, Any],
    *,
    exact: Collection[str] = (),
    notes: Mapping[str, Any] | None = None,
    **metrics: Any,
) -> Trained:
    """Writes `out/KEY.safetensors` (float16, the part's settings in its header) and `out/metrics.json`.

    Args:
        out: Folder of the run.
        key: What was trained, as its command is called: `"segmenter"`, `"prompts"`, ...
        part: The part.
        recipe: What it was trained with.
        validation: Figures on validation data.
        exact: Names of tensors that stay as they are.
        notes: More for the header, JSON-able.
        metrics: More entries of `metrics.json`.
    """
    state = part.state_dict() if isinstance(part, nn.Module) else {}
    header = {"oodseg": __version__, "part": key, "config": json.dumps(describe(part))}
    header |= {name: json.dumps(value) for name, value in (notes or {}).items()}
    path = out / f"{key}.safetensors"
    write_bytes(path, to_safetensors(pack(state, exact=exact), header))
    parameters = sum(each.numel() for each in part.parameters()) if isinstance(part, nn.Module) else 0
    return Trained(path, save_metrics(out, recipe, validation, parameters=parameters, **metrics))


def save_metrics(out: Path, recipe: Recipe, validation: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Writes `out/metrics.json` and returns its contents."""
    metrics: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "validation": validation, **more}
    metrics = _finite(metrics)
    write_json(out / _METRICS, metrics, indent=1)
    return metrics


def read_metrics(out: Path) -> dict[str, Any]:
    """Reads what `save_metrics` wrote.

    Raises:
        WeightsError: The folder holds no finished training.
    """
    try:
        found: dict[str, Any] = json.loads((out / _METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{out} holds no finished training ({cause(error)}): run `oodseg train` to its end first"
        ) from error
    return found


def finished(out: Path, key: str) -> Path:
    """Returns the weight file of a finished training.

    Raises:
        WeightsError: There is none.
    """
    path = out / f"{key}.safetensors"
    if not path.is_file():
        raise WeightsError(f"{out} holds no {path.name}: name the folder of a finished `oodseg train {key}`")
    return path


def load_trained(out: Path, key: str, kind: type[Part] | None = None) -> Any:
    """Builds what a finished training was for.

    Args:
        out: Folder of the run.
        key: See `save_trained`.
        kind: Class of a part that no pipeline names by itself.

    Raises:
        WeightsError: The training is not finished, or its file is damaged or of another version.
    """
    path = finished(out, key)
    config = read_note(path, "config")
    try:
        if kind is None:
            part = construct(_ROOMS[key], config, weights_follow=True)
        else:
            part = kind(**{name: value for name, value in config.items() if name != "name"})
    except (ConfigError, TypeError, KeyError) as error:
        raise WeightsError(
            f"the settings in {path} do not fit this oodseg {__version__} ({cause(error)}): install the "
            "version that wrote it, or train that part again"
        ) from error
    if isinstance(part, nn.Module):
        load_weights(part, path)
    return part


def read_note(path: Path, name: str) -> Any:
    """Reads a note in the header of a trained part's weight file.

    Raises:
        WeightsError: It is not a complete weight file of a training.
    """
    try:
        return json.loads(read_header(path)[name])
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a complete weight file of a training: train that part again"
        ) from error


def _finite(value: Any) -> Any:
    """JSON knows no NaN: null stands for it."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
