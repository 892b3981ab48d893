"""Provides the predictions of a pipeline over a set, and the scores of its detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.errors import DatasetError, ScoreMapError
from oodseg.data import Frame
from oodseg.evaluation.kept import KeptPredictions
from oodseg.evaluation.sources import Objects, images_of, to_shape
from oodseg.metrics.pixel import Scores

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction


class PipelineRun:
    """A pipeline's predictions over a set, made once; score maps wait on disk, objects as run lengths.

    As a source it is the pipeline's confidence map.

    Args:
        predict: The pipeline; called with an image's path.
        frames: The set; call `run` next.
        kept: Where the predictions go, and where those of an interrupted evaluation are found.
        name: How the row is called.
        inputs: Files that a frame's prediction is made from besides its image, by the frame's number.
    """

    bounded = True

    def __init__(
        self,
        predict: Callable[[Any], Prediction],
        frames: Sequence[Frame],
        kept: KeptPredictions,
        name: str,
        inputs: Sequence[Path] | None = None,
    ) -> None:
        self.name = name
        self._predict, self._frames, self._kept = predict, frames, kept
        self._inputs = [[each] for each in inputs] if inputs else [[] for _ in frames]
        self._predictions: list[Prediction] = []
        self._scores: list[Path | None] = []

    def run(self, progress: Callable[[int], None]) -> None:
        """Predicts every frame of which nothing is kept; calls `progress` with the number done after each."""
        for index, path in enumerate(images_of(self._frames)):
            name, files = self._frames[index].name, [path, *self._inputs[index]]
            found = self._kept.get(name, files) or self._kept.put(name, files, self._predict(path))
            self._predictions.append(found.prediction)
            self._scores.append(found.scores)
            progress(index + 1)

    @property
    def has_scores(self) -> bool:
        """True if the pipeline returned its score maps."""
        return all(path is not None for path in self._scores)

    def prediction(self, index: int) -> Prediction:
        """Copies a frame's prediction without its score map, so that what it caches is not kept."""
        return replace(self._predictions[index])

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Returns the confidence map."""
        found = self.prediction(index)
        self._check(index, (found.height, found.width), shape)
        return found.confidence

    def objects(self, index: int, shape: tuple[int, int]) -> Objects:
        """Returns the pipeline's own objects."""
        found = self._predictions[index].objects
        return [thing.rle for thing in found], [thing.confidence for thing in found]

    def detector_score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Computes the detector's normalised score map, resized bilinearly to the label's size."""
        path = self._scores[index]
        if path is None:
            raise ScoreMapError(f"the pipeline showed no scores of '{self._frames[index].name}'")
        return to_shape(np.load(path, allow_pickle=False), shape)

    def _check(self, index: int, size: tuple[int, int], shape: tuple[int, int]) -> None:
        if size != shape:
            frame = self._frames[index]
            raise DatasetError(
                f"the label {frame.label_path} is {shape[1]}x{shape[0]} pixels but its image "
                f"{frame.image_path} is {size[1]}x{size[0]}: they belong to different versions of the set"
            )


class DetectorOfPipeline:
    """The detector alone: the score map that the pipeline's boxes were drawn from."""

    bounded = False

    def __init__(self, run: PipelineRun, name: str) -> None:
        """Takes the finished run."""
        self.name = name
        self._run = run

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Computes the detector's score."""
        return self._run.detector_score(index, shape)

    def objects(self, index: int, shape: tuple[int, int]) -> None:
        """Returns None: a score map draws no objects."""
        return
