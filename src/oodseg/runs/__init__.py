"""Resumable work over many inputs: one store, one loop, and what each verb of the command line does."""

from oodseg.runs.demonstration import Demonstration, demonstrate
from oodseg.runs.items import Item, Source, open_source
from oodseg.runs.judgements import JudgeRun, judge
from oodseg.runs.loop import Tally, Work, work_through
from oodseg.runs.predictions import PredictionRun, predict
from oodseg.runs.statistics import FitRun, fit
from oodseg.runs.store import RunStore
from oodseg.runs.volumes import judge_volume

__all__ = [
    "Demonstration",
    "FitRun",
    "Item",
    "JudgeRun",
    "PredictionRun",
    "RunStore",
    "Source",
    "Tally",
    "Work",
    "demonstrate",
    "fit",
    "judge",
    "judge_volume",
    "open_source",
    "predict",
    "work_through",
]
