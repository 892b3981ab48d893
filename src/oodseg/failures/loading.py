"""Loads a trained failure detector, or builds a baseline that needs no training around a segmenter."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any

from oodseg.core.devices import choose_device
from oodseg.core.errors import ConfigError, OodsegError
from oodseg.core.fingerprint import hash_file
from oodseg.core.parts import FailureDetector, Segmenter
from oodseg.core.registry import resolve
from oodseg.core.spec import build_segmenter, read_spec
from oodseg.failures import FAILURES
from oodseg.failures.bundle import (
    bundled_failure_detectors,
    find_failure_detector,
    load_failure_detector,
)


def choose_failure_detector(
    name: str, segmenter: str | Mapping[str, Any] | Segmenter | None = None, device: str = "cpu"
) -> FailureDetector:
    """Finds a failure detector by what a user calls it.

    Args:
        name: Bundled name, folder, or name of a baseline.
        segmenter: What `oodseg.core.spec.build_segmenter` reads; None for the detector's own, which of a
            baseline is the street network.
        device: Where it runs: `"cpu"`, `"cuda"` or `"auto"`.

    Raises:
        ConfigError: An unknown part, a detector that must be trained first, or no GPU.
        WeightsError: Weights are missing, damaged, or of another version.
    """
    chosen = choose_device(device)
    parts = {*FAILURES, *(point.name for point in entry_points(group="oodseg.failures"))}
    if name not in parts or name in bundled_failure_detectors():
        judged = None if segmenter is None else build_segmenter(read_spec(segmenter))
        return load_failure_detector(name, chosen, segmenter=judged)
    maker = resolve(FAILURES, "failures", name)
    others = list(inspect.signature(maker).parameters.values())[1:]
    if any(each.default is each.empty for each in others if each.kind is each.POSITIONAL_OR_KEYWORD):
        raise ConfigError(
            f"the failure detector '{name}' must be trained first: give the folder that the training wrote, "
            f"or a bundled one ({', '.join(bundled_failure_detectors()) or 'none'})"
        )
    built: FailureDetector = maker(build_segmenter(read_spec(segmenter or "street"))).to(chosen)
    return built


def failure_detector_sha256(name: str | os.PathLike[str]) -> str | None:
    """SHA-256 of a trained detector's configuration, which names the checksum of its weights."""
    with suppress(OodsegError):
        return hash_file(find_failure_detector(name) / "config.json")
    return None
