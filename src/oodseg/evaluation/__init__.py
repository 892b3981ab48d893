"""A detector or pipeline over a data set: figures, intervals, curves."""

from oodseg.evaluation.results import Evaluation, Figure, MethodResult, PictureRecord
from oodseg.evaluation.run import evaluate, evaluate_folder

__all__ = ["Evaluation", "Figure", "MethodResult", "PictureRecord", "evaluate", "evaluate_folder"]
