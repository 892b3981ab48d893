"""Figures of merit in plain numpy, streaming: pixel, S2M family, components, objects, and their intervals."""

from oodseg.metrics.bootstrap import interval, resample_weights
from oodseg.metrics.components import TRACK_SIZES, ComponentCounter, ComponentMetrics, MinimumSizes
from oodseg.metrics.instances import InstanceCounter, InstanceMetrics, objects_of_mask
from oodseg.metrics.picture_means import PictureMeans
from oodseg.metrics.pixel import BinnedPixels, PixelCurve, PixelMetrics, pixel_metrics
from oodseg.metrics.s2m import PRESETS, Preset, S2MCurve, S2MMetrics, ScoreExtremes

__all__ = [
    "PRESETS",
    "TRACK_SIZES",
    "BinnedPixels",
    "ComponentCounter",
    "ComponentMetrics",
    "InstanceCounter",
    "InstanceMetrics",
    "MinimumSizes",
    "PictureMeans",
    "PixelCurve",
    "PixelMetrics",
    "Preset",
    "S2MCurve",
    "S2MMetrics",
    "ScoreExtremes",
    "interval",
    "objects_of_mask",
    "pixel_metrics",
    "resample_weights",
]
