"""Defines the choices that several verbs share."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """Names what the networks compute in."""

    AUTO = "auto"
    FULL = "full"
    HALF = "half"


class Runtime(StrEnum):
    """Names what runs the networks."""

    AUTO = "auto"
    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


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


class Quality(StrEnum):
    """Names what the mean over an image's classes is of."""

    IOU = "IoU"
    DICE = "Dice"
