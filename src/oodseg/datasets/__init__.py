"""Readers of benchmark and training layouts."""

from oodseg.datasets.frames import BenchmarkSet, Frame
from oodseg.datasets.layouts import LAYOUTS, open_dataset
from oodseg.datasets.verify import Verification, verify

__all__ = ["LAYOUTS", "BenchmarkSet", "Frame", "Verification", "open_dataset", "verify"]
