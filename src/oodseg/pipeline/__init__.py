"""The pipeline: anomaly score map to box prompts to outlines."""

from oodseg.pipeline.s2m import BOXES_AT_ONCE, S2M

__all__ = ["BOXES_AT_ONCE", "S2M"]
