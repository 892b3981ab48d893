"""Loads a trained failure detector, or builds a baseline that needs no training around a segmenter."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from oodseg.core.build import build, build_segmenter
from oodseg.core.devices import choose_device
from oodseg.core.errors import ConfigError, OodsegError
from oodseg.core.fingerprint import hash_file
from oodseg.core.parts import Judge, Segmenter
from oodseg.core.registry import names
from oodseg.core.spec import read_spec
from oodseg.failures.consistency import Consistency
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.second_opinion import SecondOpinion
from oodseg.failures.storage import (
    bundled_failure_detectors,
    find_failure_detector,
    load_failure_detector,
    read_failure_config,
)
from oodseg.segmenters.given import GivenLabels


def choose_failure_detector(
    name: str, segmenter: str | Mapping[str, Any] | Segmenter | None = None, device: str | int = "auto"
) -> Judge:
    """Finds a failure detector by the name that a user gives.

    Args:
        name: Bundled name, folder, name of a baseline, or a YAML or JSON file with all its arguments.
        segmenter: What names one, see `oodseg.core.spec`; None for the detector's own, which of a
            baseline is the street network.
        device: Where it runs: see `choose_device`.

    Raises:
        ConfigError: An unknown part, a detector that must be trained first, or no GPU.
        WeightsError: Weights are missing, damaged, or of another version.
    """
    chosen = choose_device(device)
    spec = read_spec(name)
    if isinstance(spec, Mapping):
        own: Judge = build("failures", spec if segmenter is None else {**spec, "segmenter": segmenter})
        return own.to(chosen)
    if name not in names("failures") or name in bundled_failure_detectors():
        judged = None if segmenter is None else build_segmenter(read_spec(segmenter))
        return load_failure_detector(name, chosen, segmenter=judged)
    built: Judge = build("failures", {"name": name, "segmenter": segmenter or "street"})
    return built.to(chosen)


def choose_label_judge(name: str, classes: Sequence[str] = (), device: str | int = "auto") -> Judge:
    """Finds a judge of labels that were made elsewhere.

    Args:
        name: A trained failure detector that compares image and labels, bundled or a folder, or
            `"consistency"`, which needs no training.
        classes: Names of the labels' classes, for a judge that has none of its own.
        device: Where it runs: see `choose_device`.

    Raises:
        ConfigError: A score of a network's probabilities, which labels do not have.
        WeightsError: Weights are missing, damaged, or of another version.
    """
    chosen = choose_device(device)
    if name == Consistency.name:
        return Consistency(GivenLabels(classes)).to(chosen)
    if name in names("failures") and name not in bundled_failure_detectors():
        raise ConfigError(
            f"{name} reads the probabilities of a network, which labels do not have: take a failure detector "
            f"that compares image and labels, such as street, or {Consistency.name}, which needs no training"
        )
    known = GivenLabels(read_failure_config(name)["classes"])
    judge = load_failure_detector(name, chosen)
    if isinstance(judge, SegmenterAssessor) and isinstance(judge.segmenter, GivenLabels):
        return judge
    return load_failure_detector(name, chosen, segmenter=known)


def ask_others(
    judge: Judge, others: Sequence[str | Mapping[str, Any] | Segmenter], device: str | int = "auto"
) -> Judge:
    """Has other segmenters asked beside a judge (`SecondOpinion`); hands it back if there are none.

    Args:
        judge: The judge.
        others: What names segmenters of the same classes, see `oodseg.core.spec`.
        device: Where they run: see `choose_device`.

    Raises:
        ConfigError: An unknown part, one of other classes, or no GPU.
        WeightsError: Weights are missing or damaged.
    """
    if not others:
        return judge
    members = [build_segmenter(read_spec(each)) for each in others]
    return SecondOpinion(judge, members).to(choose_device(device))


def failure_detector_sha256(name: str | os.PathLike[str]) -> str | None:
    """Computes the SHA-256 of a trained detector's configuration, which names its weights' checksum."""
    with suppress(OodsegError):
        return hash_file(find_failure_detector(name) / "config.json")
    return None


def failure_detector_parts(name: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what a trained detector consists of, as its configuration describes it; empty for a baseline."""
    with suppress(OodsegError):
        return dict(read_failure_config(find_failure_detector(name)))
    return {}
