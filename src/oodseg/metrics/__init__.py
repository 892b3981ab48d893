"""Figures of merit in plain numpy, streaming: pixel, S2M family, components, objects, failures, intervals."""

from oodseg.metrics.binned_pixels import BinnedPixels
from oodseg.metrics.bootstrap import interval, resample_weights
from oodseg.metrics.components import TRACK_SIZES, ComponentCounter, ComponentMetrics, MinimumSizes
from oodseg.metrics.failure import (
    FailureCurve,
    ImageFailureMetrics,
    PixelFailureMetrics,
    image_failure_metrics,
    picture_dice,
    picture_iou,
    pixel_failure_metrics,
)
from oodseg.metrics.instances import InstanceCounter, InstanceMetrics, objects_of_mask
from oodseg.metrics.picture_means import PictureMeans
from oodseg.metrics.pixel import PixelCurve, PixelMetrics, pixel_metrics
from oodseg.metrics.s2m import PRESETS, Preset, S2MCurve, S2MMetrics, ScoreExtremes

__all__ = [
    "PRESETS",
    "TRACK_SIZES",
    "BinnedPixels",
    "ComponentCounter",
    "ComponentMetrics",
    "FailureCurve",
    "ImageFailureMetrics",
    "InstanceCounter",
    "InstanceMetrics",
    "MinimumSizes",
    "PictureMeans",
    "PixelCurve",
    "PixelFailureMetrics",
    "PixelMetrics",
    "Preset",
    "S2MCurve",
    "S2MMetrics",
    "ScoreExtremes",
    "image_failure_metrics",
    "interval",
    "objects_of_mask",
    "picture_dice",
    "picture_iou",
    "pixel_failure_metrics",
    "pixel_metrics",
    "resample_weights",
]
