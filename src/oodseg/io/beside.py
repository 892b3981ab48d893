"""Reads what comes with an image, a score map or an ignore mask, and checks it against its size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.errors import ImageError
from oodseg.io.images import resize
from oodseg.io.scoremaps import ScoreMap, as_score_map, read_score_map

if TYPE_CHECKING:
    from numpy.typing import NDArray


def score_map_for(score_map: Any, height: int, width: int) -> ScoreMap:
    """Reads an anomaly score map from elsewhere.

    Args:
        score_map: Path, array `[h, w]` of any resolution covering the image, or `ScoreMap`.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        ScoreMapError: It cannot be read, or is of another shape than the image.
    """
    if isinstance(score_map, str | os.PathLike):
        checked = read_score_map(score_map)
    else:
        checked = score_map if isinstance(score_map, ScoreMap) else as_score_map(score_map)
    checked.check_size(height, width)
    return checked


def ignored_in(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Resizes an ignore mask to an image's size.

    Args:
        mask: Bool `[h, w]`, covering the image.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        ImageError: The image has another shape.
    """
    rows, columns = mask.shape
    if abs(columns / rows - width / height) > 0.02 * width / height:
        raise ImageError(
            f"the mask of what to ignore is {columns}x{rows}, the image {width}x{height}: "
            "use one mask for images of one shape"
        )
    return np.asarray(resize(mask.astype(np.uint8), height, width) > 0)
