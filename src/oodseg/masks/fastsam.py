"""FastSAM (Zhao et al., 2023, arXiv 2306.12156) from an ONNX file: all instances in one pass, then a choice.

FastSAM is a YOLOv8 segmentation network of one class, "object". Its makers' code and weights are under the
AGPL-3.0: the file is the user's, and what decodes it is `oodseg.masks.yolo_seg`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.errors import ConfigError, cause
from oodseg.masks.everything import EverythingSegmenter
from oodseg.masks.yolo_seg import Letterbox, check_outputs, detections, masks
from oodseg.nn.hub import portable_source
from oodseg.nn.onnx_session import as_float32, fixed_sides, float_type, open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class FastSamSegmenter(EverythingSegmenter):
    """Answers every box with one of FastSAM's instances; the filled box where none touches it.

    Any other YOLOv8 segmentation network works as well; its classes do not matter.

    Args:
        source: The `.onnx` file, as the standard export writes it.
        confidence: Least confidence of an instance, 0..1; 0.4 in the release.
        iou: Of two instances whose boxes overlap by more, the less confident goes, 0..1; 0.9 in the release.
        size: Side of the input where the file leaves it open, a multiple of 32; 1024 in the release.
        match: How an instance is chosen, see `EverythingSegmenter`: `"boxes"` as in the paper (Sec. 3.3), or
            `"pixels"` as in the released code.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        WeightsError: The file is missing or no ONNX file.
        ConfigError: It is no YOLOv8 segmentation network, or a number out of range.
    """

    name = "fastsam"

    def __init__(
        self,
        source: str,
        confidence: float = 0.4,
        iou: float = 0.9,
        size: int = 1024,
        match: str = "boxes",
    ) -> None:
        if not (0 <= confidence <= 1 and 0 <= iou <= 1):
            raise ConfigError(
                f"confidence and iou of fastsam must lie between 0 and 1, not at {confidence} and {iou}"
            )
        if size < 32 or size % 32:
            raise ConfigError(f"the size of fastsam must be a multiple of 32, not {size}")
        self._network = _Network(source, size)
        super().__init__(self._instances, match)
        self.source, self.confidence, self.iou, self.size = source, confidence, iou, size

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights stay where they are."""
        return {
            "source": portable_source(self.source),
            "confidence": self.confidence,
            "iou": self.iou,
            "size": self.size,
            "match": self.match,
        }

    def _instances(self, pixels: NDArray[np.uint8]) -> Iterator[Tensor]:
        size = pixels.shape[:2]
        placed = Letterbox.fit(size, *self._network.sides)
        places, prototypes = self._network.run(placed.put(pixels))
        boxes, coefficients = detections(places[0], prototypes.shape[1], self.confidence, self.iou)
        return masks(boxes, coefficients, prototypes[0], placed, size)


class _Network:
    """The file and the sides of its input."""

    def __init__(self, source: str, size: int) -> None:
        self._source, self._session = source, open_session(source)
        given = self._session.get_inputs()[0]
        if len(given.shape) != 4:
            raise ConfigError(
                f"{source} takes {given.shape}, which is not a YOLO segmentation network: export one that "
                "takes images [1, 3, H, W]"
            )
        height, width = fixed_sides(given)[2:]
        self.sides = (height or size, width or size)
        self._input, self._dtype = given.name, float_type(given)
        self.run(np.zeros((1, 3, *self.sides), np.float32))  # what it gives shows what it is

    def run(self, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Places and prototypes of an input."""
        try:
            outputs = as_float32(self._session.run(None, {self._input: inputs.astype(self._dtype)}))
        except Exception as error:  # onnxruntime's errors have no common base
            raise ConfigError(
                f"{self._source} cannot take an image [1, 3, {self.sides[0]}, {self.sides[1]}] "
                f"({cause(error)}): export it for one image at a time"
            ) from error
        check_outputs(self._source, outputs, *self.sides)
        return outputs
