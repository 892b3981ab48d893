"""The detector's score, raised inside the pipeline's outlines and lowered outside, as a row of its own."""

from __future__ import annotations

from oodseg.core.gating import gate_score
from oodseg.evaluation.pipeline_run import PipelineRun
from oodseg.metrics.pixel import Scores


class GatedScores:
    """The gated score of a pipeline: see `oodseg.core.gating`.

    Args:
        run: The finished run of the pipeline.
        name: How the row is called.
    """

    bounded = False

    def __init__(self, run: PipelineRun, name: str) -> None:
        self.name, self._run = name, run

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """The gated score of a frame, float32 of the label's `[H, W]`."""
        return gate_score(self._run.detector_score(index, shape), self._run.score(index, shape))

    def objects(self, index: int, shape: tuple[int, int]) -> None:
        """A score map draws no objects."""
        return
