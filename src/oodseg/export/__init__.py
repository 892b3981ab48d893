"""Pipelines as files that other runtimes read."""

from oodseg.export.onnx import export_onnx

__all__ = ["export_onnx"]
