"""Defines the result for one image: its unknown objects, each with its outline and confidence."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodseg.core.coco import coco_annotations, coco_image
from oodseg.core.display import plot_objects, to_html
from oodseg.core.encoding import encode_png
from oodseg.core.errors import ImageError
from oodseg.core.gating import gate_score
from oodseg.core.objects import OodObject, encode_objects
from oodseg.core.overlay import caption, check_pixels, draw_overlay
from oodseg.core.saving import save_prediction
from oodseg.core.tables import to_dataframe, to_detections

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame
    from supervision import Detections

_NOTEBOOK_SIDE = 960  # longer side of the image in a notebook, in pixels


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """All unknown objects of one image.

    In a notebook it shows itself: the image with every object outlined, and a table.

    Attributes:
        path: Where the image came from; None if it was handed in as pixels.
        height: Rows of the image.
        width: Columns of the image.
        objects: The objects, most confident first.
        score: Normalised anomaly score, float32 `[h, w]` at the size the detector worked at (in-distribution
            pixels have about mean 0 and standard deviation 1), or None.
        warnings: What was mended on the way, one sentence each.
        timings: Milliseconds per stage: `read`, `detector`, `prompts`, `masks`, `total`.
        open_image: Gives the image again, uint8 `[H, W, 3]` RGB, from its file where it came from one; None
            if it was not kept.
        time: Of a frame of a video, seconds since its start; None for single images.
        unconfirmed: Of a frame of a video, boxes that no other frame confirms; not part of `objects`.
    """

    path: Path | None
    height: int
    width: int
    objects: Sequence[OodObject] = ()
    score: NDArray[np.float32] | None = None
    warnings: Sequence[str] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    open_image: Callable[[], NDArray[np.uint8]] | None = None
    time: float | None = None
    unconfirmed: Sequence[OodObject] = ()

    def __post_init__(self) -> None:
        # Sorted here, so that the overlap rule below can rely on it; stable, so that ties keep their order.
        ordered = tuple(sorted(self.objects, key=lambda found: -found.confidence))
        object.__setattr__(self, "objects", ordered)

    @classmethod
    def from_masks(
        cls,
        masks: ArrayLike,
        boxes: ArrayLike,
        confidence: ArrayLike,
        *,
        path: Path | None = None,
        score: NDArray[np.float32] | None = None,
        warnings: Sequence[str] = (),
        timings: Mapping[str, float] | None = None,
        open_image: Callable[[], NDArray[np.uint8]] | None = None,
    ) -> Prediction:
        """Builds a prediction from bool masks `[N, H, W]`, boxes `[N, 4]` (xyxy) and confidence `[N]`.

        Objects with an empty mask are dropped; N may be 0.

        Raises:
            ValueError: The three arrays do not belong together.
        """
        masks = np.asarray(masks)
        objects = encode_objects(masks, boxes, confidence)
        height, width = (int(side) for side in masks.shape[1:])
        return cls(path, height, width, objects, score, warnings, timings or {}, open_image)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Every pixel of every object, bool `[H, W]`: the union of the masks, without a threshold."""
        return self.confidence_index >= 0

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """Confidence per pixel, float32 `[H, W]` in 0..1, 0 where there is no object.

        Every pixel of a mask takes its box's confidence; where masks overlap the lowest one wins
        (S2M, CVPR 2024).
        """
        values = np.array([found.confidence for found in self.objects] + [0.0], dtype=np.float32)
        return values[self.confidence_index]

    @property
    def gated_score(self) -> NDArray[np.float32] | None:
        """The score raised inside confident objects and lowered outside, float32 `[H, W]` in -8..20.

        None if there is no score. See `oodseg.core.gating`.
        """
        return None if self.score is None else gate_score(self.score, self.confidence)

    @cached_property
    def confidence_index(self) -> NDArray[np.int32]:
        """The index of the object that each pixel takes its confidence from, int32 `[H, W]`; -1 for none."""
        index = np.full((self.height, self.width), -1, dtype=np.int32)
        for position, found in enumerate(self.objects):
            index[found.mask] = position
        return index

    @property
    def title(self) -> str:
        """The name of the image's file, with a frame's time, or `image`; always text that can be printed."""
        if self.path is None:
            return "image"
        # Frames of one video need names of their own.
        at = "" if self.time is None else f"_{round(1000 * self.time):09d}ms"
        # Bytes of file names that are no UTF-8 arrive as lone surrogates, which no terminal takes.
        return f"{self.path.stem}{at}{self.path.suffix}".encode("utf-8", "replace").decode("utf-8")

    def __repr__(self) -> str:
        facts = [f"{self.width}x{self.height}", caption(len(self.objects))]
        if self.objects:
            facts.append(f"highest confidence {self.objects[0].confidence:.2f}")
        return f"<Prediction {self.title}: {', '.join(facts)}>"

    def _repr_html_(self) -> str:
        """Gives the HTML that a notebook shows; only the table if the image is gone."""
        side = _NOTEBOOK_SIDE if max(self.height, self.width) > _NOTEBOOK_SIDE else None
        try:
            drawn = self.overlay(side=side)
        except ImageError as error:
            return to_html(self.title, self.objects, self.height, self.width, None, str(error))
        return to_html(self.title, self.objects, self.height, self.width, encode_png(drawn))

    def read_image(self) -> NDArray[np.uint8]:
        """Gives the image that the objects were found in, uint8 `[H, W, 3]` RGB.

        Raises:
            ImageError: It was not kept, its file can no longer be read, or is of another size now.
        """
        if self.open_image is None:
            raise ImageError("this prediction was made without its image: pass the image on this call")
        return self._checked(self.open_image())

    def overlay(self, image: NDArray[np.uint8] | None = None, side: int | None = None) -> NDArray[np.uint8]:
        """Draws the image with every object outlined and labelled, small ones enlarged below, and a caption.

        Args:
            image: uint8 `[H, W, 3]` RGB; None takes the image that the objects were found in.
            side: Longer side of the drawn image in pixels; None keeps its size, but no less than 640.

        Returns:
            uint8 `[H', W', 3]` RGB, higher than the image.

        Raises:
            ImageError: As `read_image`, or the image is of another size.
        """
        return draw_overlay(self.read_image() if image is None else self._checked(image), self.objects, side)

    def plot(self, axes: Axes | None = None, image: NDArray[np.uint8] | None = None) -> Axes:
        """Draws the image with every object outlined and labelled into matplotlib axes, in its own pixels.

        Args:
            axes: Where to; None makes a figure.
            image: As in `overlay`.

        Returns:
            The axes.

        Raises:
            ImageError: As `overlay`.
            MissingDependencyError: matplotlib is not installed.
        """
        shown = self.read_image() if image is None else self._checked(image)
        return plot_objects(shown, self.objects, f"{self.title}: {caption(len(self.objects))}", axes)

    def to_coco(self, image_id: int = 1, first_annotation_id: int = 1) -> list[dict[str, Any]]:
        """Gives COCO annotations, JSON-able: `segmentation` (run lengths), `bbox` (mask), `area`, `score`.

        Args:
            image_id: The `id` of the image.
            first_annotation_id: The `id` of the first annotation; the others count up from it.
        """
        return coco_annotations(self.objects, image_id, first_annotation_id)

    def to_coco_image(self, image_id: int = 1) -> dict[str, Any]:
        """Gives the entry of COCO's `images` that belongs to `to_coco`."""
        return coco_image(image_id, self.title, self.height, self.width)

    def to_dataframe(self) -> DataFrame:
        """Gives a pandas table, one row per object, most confident first.

        Columns: `image`, `object` (from 1), `confidence` (0..1), `x`, `y`, `width`, `height` (the tightest
        box around the mask, in pixels), `area` (pixels), `share` (of the image, 0..1).

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return to_dataframe(self.title, self.objects, self.height, self.width)

    def to_supervision(self) -> Detections:
        """Gives the objects as `supervision.Detections`: boxes around the masks, masks, confidences.

        All are of class 0, `unknown`.

        Raises:
            MissingDependencyError: supervision is not installed.
        """
        return to_detections(self.objects)

    def save(self, folder: str | os.PathLike[str], image: NDArray[np.uint8] | None = None) -> Path:
        """Writes what `oodseg predict` writes; predictions of other images in the folder stay.

        That is `masks/NAME.png`, `confidence/NAME.png`, `overlays/NAME.jpg` and `predictions.json`, where
        NAME is that of the image without its suffix. Each is written whole or not at all. For many images, or
        names that are not unique, `oodseg predict` is the better way.

        Args:
            folder: Made if missing.
            image: As in `overlay`.

        Returns:
            The COCO file.

        Raises:
            ImageError: As `overlay`.
            OodsegError: A file cannot be written, the folder is one of `oodseg predict`, or its
                `predictions.json` is no COCO file.
        """
        files = {"masks": self.mask, "confidence": self.confidence, "overlays": self.overlay(image)}
        return save_prediction(Path(folder), self.title, files, self.objects)

    def _checked(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        expected = (self.height, self.width, 3)
        if isinstance(image, np.ndarray) and (image.dtype != np.uint8 or image.shape != expected):
            raise ImageError(
                f"{self.title} is {image.dtype} {list(image.shape)} now, the objects were found in uint8 "
                f"{list(expected)}: pass the image they were found in"
            )
        check_pixels(image)
        return image
