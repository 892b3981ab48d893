"""Reads what parts learn after they are built, whatever their constructor, out of a file of settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from oodseg.core.base import parameters
from oodseg.core.errors import ConfigError
from oodseg.core.intervals import QualityIntervals, StructureIntervals
from oodseg.core.normalization import ScoreNormalizer

ValueT = TypeVar("ValueT")


def read_statistics(given: Any, owner: str) -> ScoreNormalizer:
    """Reads a score's statistics.

    Raises:
        ConfigError: Something else was written; the sentence names the owner.
    """
    if isinstance(given, ScoreNormalizer):
        return given
    if not isinstance(given, Mapping) or set(given) != {"mean", "std"}:
        raise ConfigError(f"the normalizer of {owner} must be written as {{mean: NUMBER, std: NUMBER}}")
    return ScoreNormalizer(float(given["mean"]), float(given["std"]))


def read_intervals(given: Any, owner: str) -> QualityIntervals:
    """Reads a judge's intervals.

    Raises:
        ConfigError: Something else was written; the sentence names the owner.
    """
    return _read(QualityIntervals, given, f"the intervals of {owner}")


def read_structure_intervals(given: Any, owner: str) -> StructureIntervals:
    """Reads a judge's intervals of the structures of volumes.

    Raises:
        ConfigError: Something else was written; the sentence names the owner.
    """
    return _read(StructureIntervals, given, f"the structure intervals of {owner}")


def _read(kind: type[ValueT], given: Any, what: str) -> ValueT:
    if isinstance(given, kind):
        return given
    wanted = list(parameters(kind))
    if not isinstance(given, Mapping) or set(given) != set(wanted):
        raise ConfigError(f"{what} must be written as a mapping of {', '.join(wanted)}")
    return kind(**given)


# By room: the attribute, and what reads it for the owner that an error is to name.
LEARNED_LATER: dict[str, dict[str, Callable[[Any, str], Any]]] = {
    "detectors": {"normalizer": read_statistics},
    "failures": {"intervals": read_intervals, "structure_intervals": read_structure_intervals},
}
