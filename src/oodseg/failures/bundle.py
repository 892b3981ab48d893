"""A failure detector is a folder like a pipeline: `config.json`, one safetensors file, `README.md`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from oodseg.core.bundle import bundled_names, find_bundle, load_weights, read_json, save_part
from oodseg.core.errors import ConfigError, OodsegError, WeightsError
from oodseg.core.files import write_bytes, write_json
from oodseg.core.registry import resolve
from oodseg.core.version import __version__
from oodseg.failures import FAILURES, FailureDetector
from oodseg.segmenters import Segmenter

FORMAT = 1
_ENTRY, _FOLDER = "failure_detector", "failures"


def bundled_failure_detectors() -> list[str]:
    """Names of the failure detectors that ship with the package."""
    return bundled_names(_FOLDER)


def find_failure_detector(name_or_folder: str | os.PathLike[str]) -> Path:
    """Finds a failure detector's folder by bundled name or path.

    Raises:
        WeightsError: Neither a bundled name nor a folder with a `config.json`.
    """
    return find_bundle(
        name_or_folder,
        _FOLDER,
        what="failure detector",
        remedy="give a folder that `oodseg train comparator` wrote, or one of the bundled ones",
    )


def load_failure_detector(
    name_or_folder: str | os.PathLike[str],
    device: str = "cpu",
    *,
    segmenter: Segmenter | None = None,
) -> FailureDetector:
    """Loads a failure detector.

    Args:
        name_or_folder: Bundled name, or a folder of `save_failure_detector`.
        device: Torch device.
        segmenter: Is judged in place of the one that it was saved with; has the same classes.

    Raises:
        WeightsError: The folder or its weights are missing, damaged, or of another version.
        ConfigError: The segmenter has other classes.
    """
    folder = find_failure_detector(name_or_folder)
    config = read_failure_config(folder)
    entry = config[_ENTRY]
    try:
        detector: Any = resolve(FAILURES, "failures", entry["name"])(**entry["config"])
    except (TypeError, KeyError) as error:
        raise WeightsError(
            f"{folder / 'config.json'} does not fit this oodseg {__version__} ({error}): install the version "
            "that wrote it, or train the detector again"
        ) from error
    if entry.get("weights"):
        load_weights(detector, folder / entry["weights"], entry.get("sha256"))
    if segmenter is not None:
        if tuple(segmenter.classes) != tuple(detector.classes):
            raise ConfigError(
                f"the failure detector {folder} knows the classes {', '.join(detector.classes)}; the "
                f"segmenter {segmenter.name} has others ({', '.join(segmenter.classes)}): train one for it, "
                "or take a score that needs no training, such as msp"
            )
        detector.segmenter = segmenter
    found: FailureDetector = detector.to(device)
    return found


def save_failure_detector(
    detector: FailureDetector, folder: str | os.PathLike[str], notes: dict[str, Any] | None = None
) -> None:
    """Writes a failure detector as a folder; `config.json` comes last.

    Args:
        detector: The detector.
        folder: Where to.
        notes: More entries of `config.json`, JSON-able; `"anomaly_statistics"` holds mean and standard
            deviation of every combination of `SynthCPDetector` on ordinary pictures.

    Raises:
        OodsegError: The folder cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OodsegError(f"{folder} is a file: choose a folder to save the failure detector in")
    config = {"format": FORMAT, "oodseg": __version__, "classes": list(detector.classes), **(notes or {})}
    config[_ENTRY] = save_part(folder, _ENTRY, detector)
    card = folder / "README.md"
    if not card.exists():
        lines = [
            f"# {folder.resolve().name}",
            "",
            f"The failure detector `{detector.name}` saved by oodseg {__version__}; classes: "
            f"{', '.join(detector.classes)}.",
            "",
            "Add here: data and their terms, recipe, seed, hours, known failures.",
            "",
        ]
        write_bytes(card, "\n".join(lines).encode())
    write_json(folder / "config.json", config, indent=1)


def read_failure_config(name_or_folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads and checks the `config.json` of a failure detector.

    Raises:
        WeightsError: Missing, not JSON, of another format, or of something else.
    """
    path = find_failure_detector(name_or_folder) / "config.json"
    config = read_json(path, "failure detector")
    if not isinstance(config, dict) or _ENTRY not in config:
        raise WeightsError(f"{path} describes no failure detector: it may be a pipeline's folder")
    if config.get("format") != FORMAT:
        raise WeightsError(
            f"{path} is of format {config.get('format')}, this oodseg {__version__} reads format {FORMAT}: "
            "install the version that wrote it"
        )
    return dict(config)
