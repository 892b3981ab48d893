"""Figures of merit in plain numpy, streaming: pixels, components, objects, tracks, failures, intervals."""

from oodseg.metrics.agreement import calibration_error, reliability
from oodseg.metrics.binned_pixels import BinnedPixels
from oodseg.metrics.bootstrap import interval, measurable, resample_weights
from oodseg.metrics.components import TRACK_SIZES, ComponentCounter, ComponentMetrics, MinimumSizes
from oodseg.metrics.conformal import conformal_quantile, controlled, coverage, images_needed, outside
from oodseg.metrics.failure import (
    FailureCurve,
    ImageFailureMetrics,
    PixelFailureMetrics,
    image_dice,
    image_failure_intervals,
    image_failure_metrics,
    image_iou,
    pixel_failure_metrics,
)
from oodseg.metrics.image_means import ImageMeans
from oodseg.metrics.instances import InstanceCounter, InstanceMetrics, objects_of_mask
from oodseg.metrics.pixel import PixelCurve, PixelMetrics, pixel_metrics
from oodseg.metrics.risk_coverage import aurc, excess_aurc, risk_coverage
from oodseg.metrics.s2m import PRESETS, Preset, S2MCurve, S2MMetrics, ScoreExtremes
from oodseg.metrics.tracks import TrackCounter, TrackMetrics

__all__ = [
    "PRESETS",
    "TRACK_SIZES",
    "BinnedPixels",
    "ComponentCounter",
    "ComponentMetrics",
    "FailureCurve",
    "ImageFailureMetrics",
    "ImageMeans",
    "InstanceCounter",
    "InstanceMetrics",
    "MinimumSizes",
    "PixelCurve",
    "PixelFailureMetrics",
    "PixelMetrics",
    "Preset",
    "S2MCurve",
    "S2MMetrics",
    "ScoreExtremes",
    "TrackCounter",
    "TrackMetrics",
    "aurc",
    "calibration_error",
    "conformal_quantile",
    "controlled",
    "coverage",
    "excess_aurc",
    "image_dice",
    "image_failure_intervals",
    "image_failure_metrics",
    "image_iou",
    "images_needed",
    "interval",
    "measurable",
    "objects_of_mask",
    "outside",
    "pixel_failure_metrics",
    "pixel_metrics",
    "reliability",
    "resample_weights",
    "risk_coverage",
]
