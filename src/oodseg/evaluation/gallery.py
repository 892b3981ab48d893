"""Thumbnails of a frame for the report: image, truth, score, mask and boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.data import Frame
from oodseg.evaluation.pipeline_run import PipelineRun
from oodseg.evaluation.results import Tile
from oodseg.evaluation.sources import Source
from oodseg.io.images import read_image

WIDTH = 480


def tile(frame: Frame, label: NDArray[np.uint8], index: int, sources: Sequence[Source]) -> Tile:
    """Shrinks one frame and its predictions.

    Args:
        frame: The frame.
        label: Its label.
        index: Its number in the run.
        sources: The run's sources; the first one that is no pipeline gives the score.
    """
    height, width = label.shape
    scale = min(1.0, WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = None
    if frame.image_path is not None:
        image = cv2.resize(read_image(frame.image_path), size, interpolation=cv2.INTER_AREA)
    shown = next((source for source in sources if not isinstance(source, PipelineRun)), sources[0])
    score = cv2.resize(shown.score(index, (height, width)), size, interpolation=cv2.INTER_AREA)
    span = float(score.max() - score.min()) or 1.0
    mask, boxes = None, []
    if isinstance(sources[0], PipelineRun):
        found = sources[0].prediction(index)
        # Area shrinking keeps objects of a few pixels visible; nearest would lose them.
        mask = cv2.resize(found.mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.3
        boxes = [(*(side * scale for side in thing.prompt_box), thing.confidence) for thing in found.objects]
    return Tile(
        frame.name,
        image,
        cv2.resize(label, size, interpolation=cv2.INTER_NEAREST),
        ((score - score.min()) / span * 255).astype(np.uint8),
        mask,
        boxes,
    )
