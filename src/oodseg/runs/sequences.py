"""Evaluates a pipeline on labelled sequences: finds and follows objects, and compares them with the truth."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oodseg.core.files import write_json
from oodseg.core.progress import Progress
from oodseg.data.sequences import open_sequence
from oodseg.evaluation.tracks import count_tracks
from oodseg.metrics.tracks import TrackCounter, TrackMetrics
from oodseg.pipeline import S2M
from oodseg.runs.naming import output_names
from oodseg.runs.videos import JSON_FILE, predict_video

METRICS_FILE = "track_metrics.json"


@dataclass
class SequenceEvaluation:
    """The result of an evaluation.

    Attributes:
        metrics: Of all sequences together.
        files: What was written.
        notes: What one should know of the run as a whole, one sentence each.
    """

    metrics: TrackMetrics
    files: list[Path]
    notes: list[str]

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what a person wants to know, in order."""
        found = self.metrics
        return [
            ("true objects", str(found.objects)),
            ("found in at least one frame", _share(found.recall)),
            ("found in 80 % of their frames", _share(found.mostly_found)),
            ("mean share of their frames in which they are found", _share(found.coverage)),
            ("frames lost between the first and the last found", _share(found.flicker)),
            ("identity switches", str(found.switches)),
            ("identity switches per 100 found frames", _number(found.switches_per_100)),
            ("tracks", str(found.tracks)),
            ("false tracks", str(found.false_tracks)),
            ("false tracks per minute", _number(found.false_per_minute)),
        ]


def evaluate_sequences(
    folders: Sequence[str | os.PathLike[str]],
    pipeline: str | os.PathLike[str] | S2M = "street",
    out: str | os.PathLike[str] = "oodseg-results/evaluate",
    *,
    fps: float,
    minimum: int = 10,
    progress: Progress | None = None,
    **options: Any,
) -> SequenceEvaluation:
    """Evaluates a pipeline on folders of frames with labels; resumable like the video runs that it makes.

    Args:
        folders: See `oodseg.data.sequences`.
        pipeline: Bundled name, folder, or a pipeline.
        out: Folder for `track_metrics.json`, and a folder with the video run of every sequence.
        fps: Frames per second of all of them.
        minimum: Objects of fewer pixels in a frame are ignored there.
        progress: Told after every frame.
        **options: `detector`, `prompts`, `masks`, `operating_point`, `device`, `precision` and `size` of a
            named pipeline: see `predict_video`.

    Raises:
        DatasetError: A folder that is no labelled sequence.
        OodsegError: As `predict_video`.
    """
    sequences = [open_sequence(folder) for folder in folders]
    _, names = output_names([each.root for each in sequences])
    counter = TrackCounter(minimum)
    files: list[Path] = []
    notes: list[str] = []
    for each in sequences:
        target = Path(out) / names[each.root]
        run = predict_video(each.images, pipeline, target, fps=fps, progress=progress, **options)
        files, notes = files + run.files, notes + run.notes
        count_tracks(counter, each, json.loads((target / JSON_FILE).read_text(encoding="utf-8")))
    metrics = counter.compute()
    path = Path(out) / METRICS_FILE
    known = {key: None if math.isnan(value) else value for key, value in asdict(metrics).items()}
    write_json(path, {"fps": fps, "minimum": minimum, "metrics": known}, indent=1)
    return SequenceEvaluation(metrics, [*files, path], notes)


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
