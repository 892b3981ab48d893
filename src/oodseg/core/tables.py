"""Objects in the forms of other libraries: a pandas table, supervision's detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from oodseg.core.coco import CATEGORY
from oodseg.core.errors import MissingDependencyError
from oodseg.core.installing import install_extra
from oodseg.core.objects import OodObject

if TYPE_CHECKING:
    from pandas import DataFrame
    from supervision import Detections


def to_dataframe(image: str, objects: Sequence[OodObject], height: int, width: int) -> DataFrame:
    """Makes a table, one row per object; see `Prediction.to_dataframe`.

    Args:
        image: What stands in the column of that name.
        objects: The objects of the image.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise MissingDependencyError(
            f"a table of objects needs pandas: install it with `{install_extra('notebook')}`"
        ) from error
    corners = np.array([found.bbox for found in objects], dtype=np.float64).reshape(-1, 4)
    area = np.array([found.area for found in objects], dtype=np.int64)
    columns = {
        "image": np.array([image] * len(objects), dtype=object),
        "object": np.arange(1, len(objects) + 1),
        "confidence": np.array([found.confidence for found in objects], dtype=np.float64),
        **dict(zip(("x", "y", "width", "height"), corners.T, strict=True)),
        "area": area,
        "share": area / (height * width),
    }
    return pandas.DataFrame(columns)


def to_detections(objects: Sequence[OodObject]) -> Detections:
    """Makes detections of supervision; see `Prediction.to_supervision`.

    Raises:
        MissingDependencyError: supervision is not installed.
    """
    try:
        import supervision
    except ModuleNotFoundError as error:
        if error.name != "supervision":
            raise
        raise MissingDependencyError(
            f"detections of supervision need that library: install it with `{install_extra('notebook')}`"
        ) from error
    if not objects:
        return supervision.Detections.empty()
    corners = np.array([found.bbox for found in objects], dtype=np.float32)
    corners[:, 2:] += corners[:, :2]
    return supervision.Detections(
        xyxy=corners,
        mask=np.stack([found.mask for found in objects]),
        confidence=np.array([found.confidence for found in objects], dtype=np.float32),
        class_id=np.zeros(len(objects), dtype=int),
        data={"class_name": np.array([CATEGORY] * len(objects))},
    )
