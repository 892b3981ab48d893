"""A failure detector is a folder like a pipeline: `config.json`, one safetensors file, `README.md`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from oodseg.core.build import load_part
from oodseg.core.bundle import FORMAT, bundled_names, find_bundle, read_config, write_weights
from oodseg.core.errors import ConfigError, OodsegError, WeightsError
from oodseg.core.files import write_bytes, write_json
from oodseg.core.parts import describe
from oodseg.core.version import __version__
from oodseg.failures import Judge
from oodseg.failures.detector import SegmenterAssessor
from oodseg.segmenters import Segmenter

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
        remedy="give a folder that `oodseg train comparator` or `volumes` wrote, or one of the bundled ones",
    )


def load_failure_detector(
    name_or_folder: str | os.PathLike[str],
    device: str = "cpu",
    *,
    segmenter: Segmenter | None = None,
) -> Judge:
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
    detector: Judge = load_part(folder, read_failure_config(folder), _ENTRY)
    if segmenter is not None:
        if not isinstance(detector, SegmenterAssessor):
            raise ConfigError(f"the failure detector {folder} segments by itself: leave the segmenter out")
        if tuple(segmenter.classes) != tuple(detector.classes):
            raise ConfigError(
                f"the failure detector {folder} knows the classes {', '.join(detector.classes)}; the "
                f"segmenter {segmenter.name} has others ({', '.join(segmenter.classes)}): train one for it, "
                "or take a score that needs no training, such as msp"
            )
        del detector.segmenter  # a module, in whose place torch takes no other kind of part
        detector.segmenter = segmenter
        detector.intervals = None  # they are about the segmenter that it was saved with
    return detector.to(device)


def save_failure_detector(
    detector: Judge,
    folder: str | os.PathLike[str],
    notes: dict[str, Any] | None = None,
    bits: int = 16,
) -> None:
    """Writes a failure detector as a folder; `config.json` comes last.

    Args:
        detector: The detector.
        folder: Where to.
        notes: More entries of `config.json`, JSON-able; `"anomaly_statistics"` holds mean and standard
            deviation of every combination of `SynthCPDetector` on ordinary images.
        bits: 16, or 8 for half the size; see `oodseg.core.weights`.

    Raises:
        ConfigError: Another number of bits.
        OodsegError: The folder cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OodsegError(f"{folder} is a file: choose a folder to save the failure detector in")
    config = {"format": FORMAT, "oodseg": __version__, "classes": list(detector.classes), **(notes or {})}
    config[_ENTRY] = describe(detector)
    file = write_weights(folder, _ENTRY, detector, bits)
    config["weights"] = {} if file is None else {_ENTRY: file}
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


def copy_failure_detector(
    detector: Judge, source: str | os.PathLike[str], folder: str | os.PathLike[str], bits: int = 16
) -> None:
    """Writes a failure detector that was changed, with the notes and the model card of where it comes from.

    Args:
        detector: The detector.
        source: Bundled name or folder that it was loaded from; the name of a baseline has nothing to copy.
        folder: Where to.
        bits: See `save_failure_detector`.

    Raises:
        OodsegError: The folder cannot be written.
    """
    notes: dict[str, Any] = {}
    with suppress(WeightsError):
        known = {"format", "oodseg", "classes", "weights", _ENTRY}
        notes = {key: each for key, each in read_failure_config(source).items() if key not in known}
        card = find_failure_detector(source) / "README.md"
        if card.is_file():
            write_bytes(Path(folder) / card.name, card.read_bytes())
    save_failure_detector(detector, folder, notes, bits)


def read_failure_config(name_or_folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads and checks the `config.json` of a failure detector.

    Raises:
        WeightsError: Missing, not JSON, of another format, or of something else.
    """
    folder = find_failure_detector(name_or_folder)
    config = read_config(folder)
    if _ENTRY not in config:
        raise WeightsError(
            f"{folder / 'config.json'} describes no failure detector: name the folder of one, not of a "
            "pipeline"
        )
    return config
