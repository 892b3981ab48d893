"""Instances from the standard ONNX export of a YOLOv8 segmentation network: boxes, coefficients, prototypes.

The network gives, for an image of `h` x `w` pixels,

- `[1, 4 + C + K, N]`: of N places a box (centre x and y, width, height, in the input's pixels), C class
  confidences in 0..1 and K mask coefficients (32);
- `[1, K, h / 4, w / 4]`: K prototypes, of which each mask is a combination.

Decoded here from that description of the format (mask coefficients as in YOLACT: Bolya et al., ICCV 2019),
with no code of its makers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.masks.cleanup import box_pixels
from oodseg.nn.tensors import resize
from oodseg.nn.vision import nms

_GREY = 114  # what the networks see around an image in training
_AT_MOST = 300  # instances of an image, as their makers keep
# Every cell of grids with these strides is a place: the usual ones, and those for smaller or larger things.
_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64))


@dataclass(frozen=True)
class Letterbox:
    """Places an image in a network's input: scaled with its aspect kept, centred, grey around it.

    Attributes:
        height: Rows of the input.
        width: Columns of the input.
        rows: Rows of it that the image covers.
        columns: Columns of it that the image covers.
        scale: Pixels of the input per pixel of the image.
    """

    height: int
    width: int
    rows: slice
    columns: slice
    scale: float

    @classmethod
    def fit(cls, image: Sequence[int], height: int, width: int) -> Letterbox:
        """Fits an image of the given height and width into an input."""
        scale = min(height / image[0], width / image[1])
        sides = [max(1, round(side * scale)) for side in image]
        # Half a pixel that is left over goes below and to the right.
        top, left = (
            math.ceil((room - side) / 2 - 0.5) for room, side in zip((height, width), sides, strict=True)
        )
        return cls(height, width, slice(top, top + sides[0]), slice(left, left + sides[1]), scale)

    def put(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Puts an image, uint8 `[H, W, 3]`, in its place: float32 `[1, 3, height, width]` in 0..1."""
        import cv2

        size = (self.columns.stop - self.columns.start, self.rows.stop - self.rows.start)
        canvas = np.full((self.height, self.width, 3), _GREY, np.uint8)
        canvas[self.rows, self.columns] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], np.float32) / np.float32(255)

    def boxes(self, boxes: Tensor) -> Tensor:
        """Brings boxes `[M, 4]`, `xyxy` in the input's pixels, to those of the image."""
        corner = torch.tensor([self.columns.start, self.rows.start], dtype=boxes.dtype)
        return (boxes - corner.repeat(2)) / self.scale

    def cut(self, maps: Tensor) -> Tensor:
        """Cuts the part that the image covers out of maps `[M, h, w]` of a lower resolution."""
        down, right = maps.shape[1] / self.height, maps.shape[2] / self.width
        return maps[:, _scaled(self.rows, down), _scaled(self.columns, right)]


def check_outputs(source: str, outputs: Sequence[NDArray[np.float32]], height: int, width: int) -> None:
    """Checks that a file's outputs are those of a YOLOv8 segmentation network.

    Args:
        source: The file, for the message.
        outputs: What it gave.
        height: Rows of its input.
        width: Columns of its input.

    Raises:
        ConfigError: They are not, or not as its makers' export gives them: turned, after its own NMS, or with
            confidences that are no probabilities.
    """
    shapes = [list(each.shape) for each in outputs]
    right = len(outputs) == 2 and len(shapes[0]) == 3 and len(shapes[1]) == 4
    if right:
        (_, rows, places), (_, coefficients, *sides) = shapes
        right = rows >= 5 + coefficients and sides == [height // 4, width // 4]
        right = right and places in _counts(height, width)
    if not right:
        found = " and ".join(str(each) for each in shapes) or "nothing"
        raise ConfigError(
            f"{source} gives {found} at {height} x {width}, which is not a YOLO segmentation network: "
            f"export one with boxes and coefficients [1, 4 + C + K, N] and prototypes [1, K, {height // 4}, "
            f"{width // 4}], without its own NMS"
        )
    confidences = outputs[0][:, 4 : shapes[0][1] - shapes[1][1]]
    least, most = confidences.min(), confidences.max()
    if not (least >= 0 and most <= 1):
        raise ConfigError(
            f"{source} gives confidences from {least:.3g} to {most:.3g}, which are no probabilities: "
            "export the network with its sigmoid, as its makers' export does"
        )


def detections(
    places: NDArray[np.float32], coefficients: int, confidence: float, iou: float
) -> tuple[Tensor, Tensor]:
    """Selects the places that hold an instance of any class.

    Args:
        places: `[4 + C + K, N]`.
        coefficients: K.
        confidence: Least confidence of the likeliest class.
        iou: Of two boxes that overlap by more, the less confident goes.

    Returns:
        Boxes `[M, 4]`, `xyxy` in the input's pixels, most confident first, and their coefficients `[M, K]`.
    """
    found = torch.from_numpy(places)
    scores = found[4:-coefficients].amax(0)
    sure = scores >= confidence
    found, scores = found[:, sure], scores[sure]
    centre, half = found[:2].T, found[2:4].T / 2
    boxes = torch.cat([centre - half, centre + half], 1)
    kept = nms(boxes, scores, iou)[:_AT_MOST]
    return boxes[kept], found[-coefficients:, kept].T


def masks(
    boxes: Tensor,
    coefficients: Tensor,
    prototypes: NDArray[np.float32],
    placed: Letterbox,
    size: Sequence[int],
) -> Iterator[Tensor]:
    """Makes masks from prototypes, one at a time: a hundred at full size would fill the memory.

    The combination of the prototypes is a logit; it is cut to the image, enlarged, and set to nothing outside
    the box.

    Args:
        boxes: `[M, 4]`, `xyxy` in the input's pixels.
        coefficients: `[M, K]`.
        prototypes: `[K, h, w]`.
        placed: How the image lies in the input.
        size: Height and width of the image.

    Yields:
        Bool `[H, W]`, in the order of the boxes.
    """
    height, width = size
    cut = placed.cut(torch.from_numpy(prototypes))
    for box, weights in zip(placed.boxes(boxes).tolist(), coefficients, strict=True):
        logits = torch.einsum("k,khw->hw", weights, cut)
        mask = torch.zeros((height, width), dtype=torch.bool)
        inside = box_pixels(box, height, width)
        mask[inside] = resize(logits[None, None], (height, width))[0, 0][inside] > 0
        yield mask


def _counts(height: int, width: int) -> set[int]:
    """The numbers of places that networks have for an input."""
    return {sum((height // side) * (width // side) for side in sides) for sides in _STRIDES}


def _scaled(part: slice, factor: float) -> slice:
    start = round(part.start * factor)
    return slice(start, max(start + 1, round(part.stop * factor)))
