"""Readers of benchmark and training layouts."""

from oodseg.data.frames import BenchmarkSet, Frame
from oodseg.data.layouts import LAYOUTS, open_dataset
from oodseg.data.verify import Verification, verify

__all__ = ["LAYOUTS", "BenchmarkSet", "Frame", "Verification", "open_dataset", "verify"]
