"""Resumable work over many inputs: one store, one loop, and what each verb of the command line does."""

from oodseg.runs.calibrations import calibrate_boxes, calibrate_intervals
from oodseg.runs.demonstration import Demonstration, demonstrate
from oodseg.runs.evaluations import EvaluationRun, evaluate_sets
from oodseg.runs.items import Item, Source, open_source
from oodseg.runs.judgements import JudgeRun, judge
from oodseg.runs.loop import Tally, Work, work_through
from oodseg.runs.predictions import PredictionRun, predict
from oodseg.runs.statistics import FitRun, fit
from oodseg.runs.store import RunStore
from oodseg.runs.timing import time_pipeline
from oodseg.runs.volumes import judge_volume

__all__ = [
    "Demonstration",
    "EvaluationRun",
    "FitRun",
    "Item",
    "JudgeRun",
    "PredictionRun",
    "RunStore",
    "Source",
    "Tally",
    "Work",
    "calibrate_boxes",
    "calibrate_intervals",
    "demonstrate",
    "evaluate_sets",
    "fit",
    "judge",
    "judge_volume",
    "open_source",
    "predict",
    "time_pipeline",
    "work_through",
]
