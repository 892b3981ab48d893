"""Provides the scores to evaluate: from a pipeline, its detector, its components, or files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.core.files import atomic_path
from oodseg.data import Frame
from oodseg.io.images import read_image, to_tensor
from oodseg.io.score_files import ScoreFiles
from oodseg.io.scoremaps import read_score_map
from oodseg.metrics.components import drop_small, label_components
from oodseg.metrics.instances import component_masks
from oodseg.metrics.pixel import Scores, cut
from oodseg.metrics.s2m import ScoreExtremes

if TYPE_CHECKING:
    from oodseg.core.parts import Detector

Objects = tuple[list[dict[str, Any]], list[float]]
Components = tuple[NDArray[np.int32], list[float]]


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
            save_scores(self._spool / f"{index}.npy", scores.cpu().numpy())
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
        files = ScoreFiles(folder, [frame.image_path for frame in frames if frame.image_path is not None])
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
        self._last: tuple[int, Components] | None = None

    def score(self, index: int, shape: tuple[int, int]) -> Scores:
        """Fills every component with its confidence, 0 elsewhere."""
        labels, means = self._components(index, shape)
        values = np.asarray(means, np.float32).clip(0.0, 1.0)
        values[0] = 0.0
        return np.asarray(values[labels], np.float32)

    def objects(self, index: int, shape: tuple[int, int]) -> Objects:
        """Returns the components."""
        labels, means = self._components(index, shape)
        return component_masks(labels, len(means) - 1), means[1:]

    def _components(self, index: int, shape: tuple[int, int]) -> Components:
        """Labels of the components, and the mean of each, that of the rest first; of the last frame kept."""
        if self._last is None or self._last[0] != index:
            scores = self._base.score(index, shape)
            labels, areas = drop_small(*label_components(cut(scores, self._threshold)), self._minimum)
            sums = np.bincount(labels.ravel(), self._extremes.normalize(scores).ravel(), minlength=areas.size)
            self._last = index, (labels, [float(each) for each in sums / np.maximum(areas, 1)])
        return self._last[1]


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


def save_scores(path: Path, scores: NDArray[Any]) -> None:
    """Writes a score map as float32, whole or not at all.

    Raises:
        OodsegError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, scores.astype(np.float32))


def to_shape(scores: Scores, shape: tuple[int, int]) -> Scores:
    """Resizes a score map bilinearly to `[H, W]`; one of that size comes back as it is."""
    if scores.shape == shape:
        return scores
    import cv2

    resized: Scores = cv2.resize(scores, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return resized
