"""What several verbs let the user choose from."""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class OperatingPoint(StrEnum):
    """How readily boxes are proposed."""

    QUIET = "quiet"
    BALANCED = "balanced"
    THOROUGH = "thorough"


class NumberFormat(StrEnum):
    """How maps of numbers in 0..1 are saved."""

    PNG = "png"
    NPY = "npy"
