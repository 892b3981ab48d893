"""Provides the scores to evaluate: from a pipeline, its detector, its components, or files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.core.files import output_errors
from oodseg.data import Frame
from oodseg.io.images import read_image, to_tensor
from oodseg.io.score_files import ScoreFiles
from oodseg.io.scoremaps import read_score_map
from oodseg.metrics.components import drop_small, label_components
from oodseg.metrics.instances import objects_of_mask
from oodseg.metrics.pixel import Scores, cut
from oodseg.metrics.s2m import ScoreExtremes

if TYPE_CHECKING:
    from oodseg.core.parts import Detector
    from oodseg.core.prediction import Prediction

Objects = tuple[list[dict[str, Any]], list[float]]


class Source(Protocol):
    """One row of the table.

    Attributes:
        name: How the row is called.
        bounded: True if the map is a confidence in 0..1 already, False if it needs the set's extremes (Eq.
            8).
    """

    name: str
    bounded: bool

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Computes the score or confidence of a frame, float32 or float64 of the label's `[H, W]`."""
        ...

    def objects(self, index: int, shape: tuple[int, int]) -> Objects | None:
        """Computes run-length masks and confidences of a frame's objects; None if the method draws none."""
        ...


class PipelineRun:
    """A pipeline's predictions over a set, made once; score maps wait on disk, objects as run lengths.

    As a source it is the pipeline's confidence map.
    """

    bounded = True

    def __init__(
        self, predict: Callable[[Any], Prediction], frames: Sequence[Frame], spool: Path, name: str
    ) -> None:
        """Takes the pipeline and a folder for the score maps; call `run` next."""
        self.name = name
        self._predict = predict
        self._frames = frames
        self._spool = spool
        self._predictions: list[Prediction] = []

    def run(self, progress: Callable[[int], None]) -> None:
        """Predicts every frame; calls `progress` with the number done after each."""
        for index, path in enumerate(images_of(self._frames)):
            found = self._predict(path)
            if found.score is not None:
                _save(self._path(index), found.score)
            self._predictions.append(replace(found, score=None))
            progress(index + 1)

    @property
    def has_scores(self) -> bool:
        """True if the pipeline returned its score maps."""
        return all(self._path(index).is_file() for index in range(len(self._frames)))

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
        return to_shape(np.load(self._path(index), allow_pickle=False), shape)

    def _path(self, index: int) -> Path:
        return self._spool / f"{index}.npy"

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


class DetectorRun:
    """A detector without a pipeline, run on images at their own size; the maps wait on disk."""

    bounded = False

    def __init__(self, detector: Detector, frames: Sequence[Frame], spool: Path, name: str) -> None:
        """Takes the detector and a folder for the score maps; call `run` next."""
        self.name = name
        self._detector = detector
        self._frames = frames
        self._spool = spool

    def run(self, progress: Callable[[int], None]) -> None:
        """Scores every frame; calls `progress` with the number done after each."""
        import torch

        for index, path in enumerate(images_of(self._frames)):
            with torch.inference_mode():
                scores = self._detector.score(to_tensor(read_image(path))[None])[0]
            _save(self._spool / f"{index}.npy", scores.cpu().numpy())
            progress(index + 1)

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Computes the detector's score."""
        return to_shape(np.load(self._spool / f"{index}.npy", allow_pickle=False), shape)

    def objects(self, index: int, shape: tuple[int, int]) -> None:
        """Returns None: a score map draws no objects."""
        return


class FolderSource:
    """Score files computed elsewhere, paired with the frames by name.

    Attributes:
        paths: One file per frame.
    """

    bounded = False

    def __init__(self, folder: str | os.PathLike[str], frames: Sequence[Frame], name: str) -> None:
        """Finds one file per frame.

        Raises:
            ScoreMapError: A frame without a score file, or with several.
        """
        self.name = name
        files = ScoreFiles(folder)
        self.paths = [files.find(frame.name, Path(frame.name).name) for frame in frames]

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Reads the score file's map."""
        # Confidence maps are score files too, and 0 everywhere where nothing was found.
        found = read_score_map(self.paths[index], allow_constant=True)
        found.check_size(*shape)
        return to_shape(found.scores, shape)

    def objects(self, index: int, shape: tuple[int, int]) -> None:
        """Returns None: a score map draws no objects."""
        return


class ComponentSource:
    """The baseline without prompts: connected components of a score map cut at one threshold.

    Every component becomes an object whose confidence is its mean normalised score.
    """

    bounded = True

    def __init__(self, base: Source, extremes: ScoreExtremes, threshold: float, minimum: int) -> None:
        """Takes the score source, its set's extremes, the threshold (mask = score >= it) and minimum size."""
        self.name = f"{base.name} + components"
        self._base = base
        self._extremes = extremes
        self._threshold = threshold
        self._minimum = minimum

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Fills every component with its confidence, 0 elsewhere."""
        scores = self._base.score(index, shape)
        labels, areas = drop_small(*label_components(cut(scores, self._threshold)), self._minimum)
        sums = np.bincount(labels.ravel(), self._extremes.normalize(scores).ravel(), minlength=areas.size)
        values = (sums / np.maximum(areas, 1)).astype(np.float32).clip(0.0, 1.0)
        values[0] = 0.0
        return np.asarray(values[labels], np.float32)

    def objects(self, index: int, shape: tuple[int, int]) -> Objects:
        """Returns the components."""
        scores = self._base.score(index, shape)
        return objects_of_mask(cut(scores, self._threshold), self._extremes.normalize(scores), self._minimum)


def images_of(frames: Sequence[Frame]) -> list[Path]:
    """Lists the frames' images.

    Raises:
        DatasetError: One of them is missing.
    """
    for frame in frames:
        if frame.image_path is None:
            raise DatasetError(
                f"there is no image for the label {frame.label_path}: a pipeline needs the images, put "
                "them into images/ beside labels/"
            )
    return [frame.image_path for frame in frames if frame.image_path is not None]


def _save(path: Path, scores: NDArray[Any]) -> None:
    with output_errors(path):
        np.save(path, scores.astype(np.float32))


def to_shape(scores: Scores, shape: tuple[int, int]) -> Scores:
    """Resizes a score map bilinearly to `[H, W]`; one of that size comes back as it is."""
    if scores.shape == shape:
        return scores
    import cv2

    resized: Scores = cv2.resize(scores, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return resized
