"""A detector or pipeline over a data set: figures, intervals, curves."""

from oodseg.evaluation.results import Evaluation, Figure, ImageRecord, MethodResult
from oodseg.evaluation.run import evaluate, evaluate_folder

__all__ = ["Evaluation", "Figure", "ImageRecord", "MethodResult", "evaluate", "evaluate_folder"]
