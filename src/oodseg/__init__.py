"""oodseg finds every object a street-scene model was never taught, and draws its outline.

from oodseg import S2M

s2m = S2M.from_pretrained("street")
prediction = s2m("street.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodseg.core.lazy import lazy_names
from oodseg.core.version import __version__

if TYPE_CHECKING:
    from oodseg.core.errors import (
        ConfigError,
        DatasetError,
        DeviceError,
        ImageError,
        MissingDependencyError,
        OodsegError,
        ScoreMapError,
        VideoError,
        WeightsError,
    )
    from oodseg.core.input_warnings import InputWarning
    from oodseg.core.normalization import ScoreNormalizer
    from oodseg.core.objects import OodObject
    from oodseg.core.prediction import Prediction
    from oodseg.detectors.logit import LogitDetector
    from oodseg.evaluation.run import evaluate
    from oodseg.failures.storage import load_failure_detector
    from oodseg.io.images import read_image, to_tensor
    from oodseg.masks.everything import EverythingSegmenter
    from oodseg.pipeline import S2M
    from oodseg.runs.judgements import judge
    from oodseg.segmenters.own import CallableSegmenter

__all__ = [
    "S2M",
    "CallableSegmenter",
    "ConfigError",
    "DatasetError",
    "DeviceError",
    "EverythingSegmenter",
    "ImageError",
    "InputWarning",
    "LogitDetector",
    "MissingDependencyError",
    "OodObject",
    "OodsegError",
    "Prediction",
    "ScoreMapError",
    "ScoreNormalizer",
    "VideoError",
    "WeightsError",
    "__version__",
    "evaluate",
    "judge",
    "load_failure_detector",
    "read_image",
    "to_tensor",
]

# Looked up when first used: numpy and torch take seconds to import, which `oodseg --help` has no use for.
_HOMES = {
    "S2M": "oodseg.pipeline",
    "CallableSegmenter": "oodseg.segmenters.own",
    "ConfigError": "oodseg.core.errors",
    "DatasetError": "oodseg.core.errors",
    "DeviceError": "oodseg.core.errors",
    "EverythingSegmenter": "oodseg.masks.everything",
    "ImageError": "oodseg.core.errors",
    "InputWarning": "oodseg.core.input_warnings",
    "LogitDetector": "oodseg.detectors.logit",
    "MissingDependencyError": "oodseg.core.errors",
    "OodObject": "oodseg.core.objects",
    "OodsegError": "oodseg.core.errors",
    "Prediction": "oodseg.core.prediction",
    "ScoreMapError": "oodseg.core.errors",
    "ScoreNormalizer": "oodseg.core.normalization",
    "VideoError": "oodseg.core.errors",
    "WeightsError": "oodseg.core.errors",
    "evaluate": "oodseg.evaluation.run",
    "judge": "oodseg.runs.judgements",
    "load_failure_detector": "oodseg.failures.storage",
    "read_image": "oodseg.io.images",
    "to_tensor": "oodseg.io.images",
}

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
