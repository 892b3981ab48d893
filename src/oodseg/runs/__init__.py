"""Resumable work over many inputs: one store, one loop, and what each verb of the command line does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodseg.core.lazy import lazy_names

if TYPE_CHECKING:
    from oodseg.runs.calibrations import calibrate_boxes, calibrate_intervals
    from oodseg.runs.comparing import Comparison, compare
    from oodseg.runs.comparison import compare_runtimes
    from oodseg.runs.demonstration import Demonstration, demonstrate
    from oodseg.runs.evaluations import EvaluationRun, evaluate_sets
    from oodseg.runs.fleet.pools import RayPool
    from oodseg.runs.fleet.predicting import FleetRun, predict_fleet
    from oodseg.runs.items import Item, Source, open_source
    from oodseg.runs.judgements import judge
    from oodseg.runs.judging import JudgeRun
    from oodseg.runs.loop import Tally, Work, work_through
    from oodseg.runs.predictions import PredictionRun, predict
    from oodseg.runs.sequences import SequenceEvaluation, evaluate_sequences
    from oodseg.runs.statistics import FitRun, fit
    from oodseg.runs.store import RunStore
    from oodseg.runs.timing import time_pipeline
    from oodseg.runs.videos import VideoRun, predict_video
    from oodseg.runs.volumes import judge_volume

__all__ = [
    "Comparison",
    "Demonstration",
    "EvaluationRun",
    "FitRun",
    "FleetRun",
    "Item",
    "JudgeRun",
    "PredictionRun",
    "RayPool",
    "RunStore",
    "SequenceEvaluation",
    "Source",
    "Tally",
    "VideoRun",
    "Work",
    "calibrate_boxes",
    "calibrate_intervals",
    "compare",
    "compare_runtimes",
    "demonstrate",
    "evaluate_sequences",
    "evaluate_sets",
    "fit",
    "judge",
    "judge_volume",
    "open_source",
    "predict",
    "predict_fleet",
    "predict_video",
    "time_pipeline",
    "work_through",
]

_HOMES = {
    "Comparison": "oodseg.runs.comparing",
    "Demonstration": "oodseg.runs.demonstration",
    "EvaluationRun": "oodseg.runs.evaluations",
    "FitRun": "oodseg.runs.statistics",
    "FleetRun": "oodseg.runs.fleet.predicting",
    "Item": "oodseg.runs.items",
    "JudgeRun": "oodseg.runs.judging",
    "PredictionRun": "oodseg.runs.predictions",
    "RayPool": "oodseg.runs.fleet.pools",
    "RunStore": "oodseg.runs.store",
    "SequenceEvaluation": "oodseg.runs.sequences",
    "Source": "oodseg.runs.items",
    "Tally": "oodseg.runs.loop",
    "VideoRun": "oodseg.runs.videos",
    "Work": "oodseg.runs.loop",
    "calibrate_boxes": "oodseg.runs.calibrations",
    "calibrate_intervals": "oodseg.runs.calibrations",
    "compare_runtimes": "oodseg.runs.comparison",
    "compare": "oodseg.runs.comparing",
    "demonstrate": "oodseg.runs.demonstration",
    "evaluate_sequences": "oodseg.runs.sequences",
    "evaluate_sets": "oodseg.runs.evaluations",
    "fit": "oodseg.runs.statistics",
    "judge": "oodseg.runs.judgements",
    "judge_volume": "oodseg.runs.volumes",
    "open_source": "oodseg.runs.items",
    "predict": "oodseg.runs.predictions",
    "predict_fleet": "oodseg.runs.fleet.predicting",
    "predict_video": "oodseg.runs.videos",
    "time_pipeline": "oodseg.runs.timing",
    "work_through": "oodseg.runs.loop",
}

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
