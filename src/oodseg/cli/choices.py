"""Defines the choices that several verbs share."""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """Names the device that the networks run on."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class OperatingPoint(StrEnum):
    """Sets how readily boxes are proposed."""

    QUIET = "quiet"
    BALANCED = "balanced"
    THOROUGH = "thorough"
    CALIBRATED = "calibrated"


class ImageFormat(StrEnum):
    """Names the file format of images for people."""

    JPG = "jpg"
    PNG = "png"


class NumberFormat(StrEnum):
    """Names the file format of maps of numbers in 0..1."""

    PNG = "png"
    NPY = "npy"
