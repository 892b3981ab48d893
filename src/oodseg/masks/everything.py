"""All instances of an image first, then the one that each box selects: as in FastSAM.

FastSAM (Zhao et al., 2023, arXiv 2306.12156) segments everything in one pass and answers a box prompt
with the instance that overlaps it best, by intersection over union: of its bounding box with the prompt in
the paper, of its pixels with the prompt's in the released code. Any model that outlines instances will do:
FastSAM itself, SAM's automatic mask generator, or a mask classifier such as Mask2Former trained on instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.parts import PromptableSegmenter
from oodseg.masks.cleanup import box_pixels
from oodseg.nn.hub import portable_source
from oodseg.nn.tensors import resize

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray
    from torch import Tensor

    from oodseg.core.parts import Segmenter

Generate = Callable[[Any], Iterable[Any]]

# Mask classifiers see larger images reduced to this long side, about what they are trained at.
_LONGEST = 1024
# Families whose queries are outlines of the whole image. EoMT's are cut where its windows meet.
_FAMILIES = ("mask2former", "maskformer", "oneformer")
_MATCHES = ("pixels", "boxes")


@dataclass(frozen=True)
class Instance:
    """One instance, cut out of the image.

    Attributes:
        rows: Rows of the image that it reaches over.
        columns: Columns that it reaches over.
        mask: Bool, on these rows and columns.
        area: Its pixels.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]
    area: int

    def iou(self, rows: slice, columns: slice, of_boxes: bool = False) -> float:
        """Computes the intersection over union with a rectangle, 0..1.

        Args:
            rows: Of the rectangle.
            columns: Of the rectangle.
            of_boxes: Whether the instance's bounding box stands for its pixels.
        """
        top, bottom = max(rows.start, self.rows.start), min(rows.stop, self.rows.stop)
        left, right = max(columns.start, self.columns.start), min(columns.stop, self.columns.stop)
        if top >= bottom or left >= right:
            return 0.0
        y, x = self.rows.start, self.columns.start
        shared, own = (bottom - top) * (right - left), self.mask.size
        if not of_boxes:
            shared = int(np.count_nonzero(self.mask[top - y : bottom - y, left - x : right - x]))
            own = self.area
        rectangle = (rows.stop - rows.start) * (columns.stop - columns.start)
        return float(shared / (own + rectangle - shared))


@dataclass(frozen=True)
class InstanceEmbedding:
    """All instances of one image.

    Attributes:
        instances: Those with at least one pixel; they may overlap.
        height: Rows of the image.
        width: Columns of the image.
    """

    instances: list[Instance]
    height: int
    width: int


class EverythingSegmenter(PromptableSegmenter):
    """Answers every box with the instance that overlaps it best; the filled box where none touches it.

    Args:
        source: A function of yours that takes an image, uint8 `[H, W, 3]` (RGB), and gives its instances,
            bool `[M, H, W]` (numpy, torch, or one by one; M may be 0). Or a mask classifier as text,
            `mask2former:ID` (also maskformer and oneformer; a hub id or a folder): each of its queries is
            an instance where its mask logit is above 0, whatever its class, for an unknown object has none.
        match: What overlaps best: `"pixels"`, those of the instance with those of the box; or `"boxes"`, the
            instance's bounding box with the box.

    Attributes:
        generate: The function.

    Raises:
        ConfigError: The text names no mask classifier, or there is no such match.
        WeightsError: Its weights are not there.
    """

    name = "everything"

    def __init__(self, source: str | Generate, match: str = "pixels") -> None:
        if match not in _MATCHES:
            raise ConfigError(f"match must be one of {' and '.join(_MATCHES)}, not '{match}'")
        self._source, self.match = source, match
        self.generate = _QueryMasks(source) if isinstance(source, str) else source

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`.

        Raises:
            ConfigError: The instances come from a function, which no file can name.
        """
        if not isinstance(self._source, str):
            raise ConfigError(
                "masks that come from a function of yours cannot be saved: save the pipeline with others, "
                "and hand the function in again after loading"
            )
        family, _, rest = self._source.partition(":")
        return {"source": f"{family}:{portable_source(rest)}", "match": self.match}

    def to(self, device: str | torch.device) -> Self:
        """Moves the mask classifier; a function of yours stays where it is."""
        if isinstance(self.generate, _QueryMasks):
            self.generate.to(device)
        return self

    def embed(self, image: Tensor) -> InstanceEmbedding:
        """Outlines all instances of an image, float32 `[3, H, W]`, RGB in 0..1.

        Raises:
            ConfigError: The function gave masks of another size.
        """
        pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
        height, width = pixels.shape[:2]
        instances = []
        for mask in self.generate(pixels):
            found = np.asarray(mask.cpu() if isinstance(mask, torch.Tensor) else mask).astype(np.bool_)
            if found.shape != (height, width):
                raise ConfigError(
                    f"the instances are of shape {found.shape} for an image of {height} x {width} pixels: "
                    "give bool masks [M, H, W] at the image's size"
                )
            instances += _cut_out(found)
        return InstanceEmbedding(instances, height, width)

    def segment(self, embedding: InstanceEmbedding, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Selects one instance per box; see `PromptableSegmenter.segment`. Scores are not used.

        An instance may answer several boxes, and may extend beyond its box.
        """
        masks = np.zeros((len(boxes), embedding.height, embedding.width), dtype=np.bool_)
        for target, box in zip(masks, boxes.tolist(), strict=True):
            inside = box_pixels(box, embedding.height, embedding.width)
            ious = [instance.iou(*inside, self.match == "boxes") for instance in embedding.instances]
            if max(ious, default=0.0) > 0:
                best = embedding.instances[int(np.argmax(ious))]
                target[best.rows, best.columns] = best.mask
            else:
                target[inside] = True
        return torch.from_numpy(masks).to(boxes.device)


def _cut_out(mask: NDArray[np.bool_]) -> list[Instance]:
    """The instance in a full-size mask, without the empty space around it; none in an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    over = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    cut = mask[over].copy()
    return [Instance(*over, cut, int(np.count_nonzero(cut)))]


class _QueryMasks:
    """The mask queries of a mask classifier, as instances."""

    def __init__(self, source: str) -> None:
        family, _, rest = source.partition(":")
        if family not in _FAMILIES or not rest:
            raise ConfigError(
                f"everything:{source} names no mask classifier: write everything:{_FAMILIES[0]}:ID, "
                f"or one of {', '.join(_FAMILIES[1:])}"
            )
        self.segmenter: Segmenter = build("segmenters", source)
        self.device: str | torch.device = "cpu"

    def to(self, device: str | torch.device) -> None:
        """Moves the network."""
        self.device = device
        self.segmenter.to(device)

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[np.uint8]) -> Iterator[Tensor]:
        height, width = pixels.shape[:2]
        image = torch.from_numpy(pixels).to(self.device).permute(2, 0, 1)[None].float() / 255
        scale = min(1.0, _LONGEST / max(height, width))
        if scale < 1:
            small = [max(1, round(side * scale)) for side in (height, width)]
            image = resize(image, small, antialias=True)
        queries = self.segmenter.segment(image).queries
        if queries is None:
            return
        for logits in queries.masks[0]:
            # One at a time: a hundred at full size would fill the memory.
            large = resize(logits[None, None], (height, width))
            yield large[0, 0] > 0
