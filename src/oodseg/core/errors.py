"""Defines the errors a user can meet: each reads as one sentence naming the fault and the remedy."""

from __future__ import annotations


class OodsegError(Exception):
    """Base of every error that a user can cause and mend; the command line prints it without a traceback."""


class ImageError(OodsegError):
    """An image that cannot be read or makes no sense (missing, truncated, empty, too small, too large)."""


class VideoError(OodsegError):
    """A video that cannot be read or makes no sense (missing, truncated, without frames, changing size)."""


class ScoreMapError(OodsegError):
    """An anomaly score map of the wrong shape, or one that holds no usable values."""


class WeightsError(OodsegError):
    """A weight file or pipeline folder that is missing, corrupt, or of another version."""


class DeviceError(OodsegError):
    """A GPU that fails, or that cannot do what a model needs."""


class ConfigError(OodsegError):
    """An unknown name, option or recipe value."""


class DatasetError(OodsegError):
    """A data set folder with missing files, unknown label codes or mismatched pairs."""


class MissingDependencyError(OodsegError):
    """An optional library is not installed; the message names the extra that brings it."""


def cause(error: BaseException) -> str:
    """Words what went wrong below us, for the brackets of a sentence that names the file itself."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError) and error.args:
        return f"no entry {error.args[0]!r}"
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
