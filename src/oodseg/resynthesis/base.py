"""The contract of every failure detector: picture in, where and how much its segmentation is wrong out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Assessment:
    """What a failure detector says about one picture or slice.

    Attributes:
        labels: uint8 `[H, W]`: the predicted classes, indices into the detector's `classes`.
        error: float32 `[H, W]`: probability that the prediction is wrong there, 0..1.
        resynthesis: uint8 `[H, W, 3]`, RGB: the picture made back from the prediction; None if the detector
            makes none.
        class_iou: float32 `[C]`: estimated IoU (Dice for volumes) of every class; NaN where a class is not
            predicted.
        mean_iou: Their estimated mean over the classes in the truth; one that is missed counts as 0.
    """

    labels: NDArray[np.uint8]
    error: NDArray[np.float32]
    resynthesis: NDArray[np.uint8] | None
    class_iou: NDArray[np.float32]
    mean_iou: float


@runtime_checkable
class FailureDetector(Protocol):
    """Segments a picture and says where that segmentation is wrong.

    Attributes:
        name: Key in `FAILURES`.
        classes: Names of the C classes.
    """

    name: str
    classes: tuple[str, ...]

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments."""
        ...

    def assess(self, image: Tensor) -> Assessment:
        """Assesses one picture.

        Args:
            image: Float `[3, H, W]`, RGB in 0..1, any size.
        """
        ...
