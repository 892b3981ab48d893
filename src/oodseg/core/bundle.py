"""A pretrained pipeline is a folder: `config.json`, one safetensors file per part, `README.md`.

Nothing in it is ever unpickled. Learned weights lie in float16 or in 8 bits (`oodseg.core.weights`) and are
used in float32; statistics (the buffers of a module) are kept unchanged, because half precision would ruin a
covariance or a running variance.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from oodseg.core.errors import OodsegError, WeightsError, cause
from oodseg.core.files import atomic_path, write_bytes, write_json
from oodseg.core.fingerprint import hash_bytes
from oodseg.core.input_warnings import name_few
from oodseg.core.parts import Part, describe
from oodseg.core.spec import ROOMS
from oodseg.core.version import __version__
from oodseg.core.weights import check_bits, check_weights, pack, to_safetensors, unpack

FORMAT = 2


def bundled_names(*inside: str) -> list[str]:
    """Names of what ships with the package: pipelines, or what lies `inside` a folder beside them."""
    folder = files("oodseg").joinpath("weights", *inside)
    if not folder.is_dir():
        return []
    return sorted(each.name for each in folder.iterdir() if (each / "config.json").is_file())


def find_bundle(
    name_or_folder: str | os.PathLike[str],
    *inside: str,
    what: str = "pipeline folder",
    remedy: str = "give a folder written by save_pretrained, or one of the bundled pipelines",
) -> Path:
    """Finds the folder of a pipeline, or of another bundled thing, by bundled name or path.

    Args:
        name_or_folder: Either of the two.
        inside: See `bundled_names`.
        what: Its name in the error.
        remedy: The advice in the error; the bundled names follow.

    Raises:
        WeightsError: Neither a bundled name nor a folder with a `config.json`.
    """
    name = os.fspath(name_or_folder)
    if name in bundled_names(*inside):
        return Path(str(files("oodseg").joinpath("weights", *inside, name)))
    folder = Path(name)
    if (folder / "config.json").is_file():
        return folder
    below = sorted(each.parent.as_posix() for each in folder.glob("*/config.json"))
    meant = f"; did you mean {name_few(below)}?" if below else ""
    known = ", ".join(bundled_names(*inside)) or "none"
    fault = "holds no config.json" if folder.is_dir() else "does not exist"
    raise WeightsError(f"the {what} {folder} {fault}: {remedy} ({known}){meant}")


def read_json(path: Path, what: str) -> Any:
    """Reads the JSON that describes `what`.

    Raises:
        WeightsError: Not readable, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(
            f"{path} is not readable JSON ({cause(error)}): fetch or write the {what} again"
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the `config.json` of a pipeline or another saved thing, and checks its format.

    Raises:
        WeightsError: Not JSON, or of another format.
    """
    path = folder / "config.json"
    config = read_json(path, "pipeline")
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else None
        raise WeightsError(
            f"{path} is of pipeline format {found}, this oodseg {__version__} reads format {FORMAT}: "
            "install the oodseg version that wrote it, or save the pipeline again"
        )
    return config


def read_pipeline_config(folder: Path) -> dict[str, Any]:
    """Reads and checks the `config.json` of a pipeline.

    Raises:
        WeightsError: Not JSON, of another format, or incomplete.
    """
    config = read_config(folder)
    missing = [key for key in (*ROOMS, "working_side") if key not in config]
    if missing:
        raise WeightsError(
            f"{folder / 'config.json'} has no entry {', '.join(missing)}: write the pipeline again"
        )
    return config


def read_header(path: Path) -> dict[str, str]:
    """Reads the strings in the header of a safetensors file; none if it is no whole one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def load_weights(part: Any, path: Path, sha256: str | None = None) -> None:
    """Loads a safetensors file into a part, in float32.

    Args:
        part: Has `load_state_dict`; a module is put into evaluation mode and frozen.
        path: The weight file.
        sha256: Its checksum, if known.

    Raises:
        WeightsError: The file is missing, damaged, holds NaN, or does not fit the part.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"the weight file {path} cannot be read ({error.strerror}): fetch it again"
        ) from error
    if sha256 is not None and hash_bytes(data) != sha256:
        raise WeightsError(
            f"the weight file {path} is damaged or not the one its config.json names (the checksum differs): "
            "fetch the pipeline again"
        )
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise WeightsError(
            f"the weight file {path} is not a complete safetensors file ({cause(error)}): fetch it again"
        ) from error
    state = unpack(tensors)
    check_weights(state, path)
    try:
        part.load_state_dict(state, strict=True)
    except RuntimeError as error:
        fault = str(error).splitlines()[-1].strip()
        raise WeightsError(
            f"the weight file {path} does not fit the part its config.json describes ({fault}): "
            "use the two files of one version"
        ) from error
    if isinstance(part, torch.nn.Module):
        part.eval().requires_grad_(False)


def write_weights(folder: Path, key: str, part: Part, bits: int = 16) -> dict[str, str] | None:
    """Writes what a part has learned, in 16 or 8 bits.

    Args:
        folder: Where to.
        key: What the file is called.
        part: The part; one that is no module has nothing to write.
        bits: See `oodseg.core.weights`.

    Returns:
        What `config.json` records about the file: `"file"` and `"sha256"`; None without one.
    """
    import torch

    if not isinstance(part, torch.nn.Module):
        return None
    state = part.state_dict()
    if not state:
        return None
    buffers = {name for name, _ in part.named_buffers()}
    header = {"part": key, "name": part.name, "oodseg": __version__}
    data = to_safetensors(pack(state, bits, buffers), header)
    write_bytes(folder / f"{key}.safetensors", data)
    return {"file": f"{key}.safetensors", "sha256": hash_bytes(data)}


def save_bundle(
    folder: Path,
    name: str,
    working_side: tuple[int, int],
    parts: dict[str, Part],
    bits: int = 16,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Writes a pipeline folder; `config.json` comes last, so that an interrupted save is no pipeline.

    Args:
        folder: Where to.
        name: Of the pipeline.
        working_side: See `oodseg.core.stages.Stages`.
        parts: By their keys.
        bits: See `oodseg.core.weights`.
        notes: More entries of `config.json`, JSON-able.

    Raises:
        ConfigError: Bits other than 16 and 8.
        OodsegError: The folder cannot be written, or a part cannot be described.
    """
    check_bits(bits)
    if folder.exists() and not folder.is_dir():
        raise OodsegError(f"{folder} is a file: choose a folder to save the pipeline in")
    config: dict[str, Any] = {
        "format": FORMAT,
        "oodseg": __version__,
        "name": name,
        "working_side": list(working_side),
        **(notes or {}),
    }
    config |= {key: describe(part) for key, part in parts.items()}
    written = {key: write_weights(folder, key, part, bits) for key, part in parts.items()}
    config["weights"] = {key: file for key, file in written.items() if file is not None}
    card = folder / "README.md"
    if not card.exists():
        with atomic_path(card) as temporary:
            temporary.write_text(_card(config), encoding="utf-8")
    write_json(folder / "config.json", config, indent=1)


def _card(config: dict[str, Any]) -> str:
    lines = [f"# {config['name']}", "", f"A pipeline saved by oodseg {__version__}.", ""]
    lines += [f"- {key}: `{config[key]['name']}`" for key in ROOMS]
    return "\n".join([*lines, "", "Add here: data and their terms, recipe, seed, hours, known failures.", ""])
