"""Sliding window and several scales around any segmenter, with averaged logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmentation, Segmenter


def starts(length: int, window: int, overlap: int = 0, multiple: int = 1) -> list[int]:
    """Returns window starts that cover `length`: as few as possible, evenly spread, first and last flush.

    Args:
        length: Pixels to cover.
        window: Pixels that a window covers.
        overlap: Pixels that neighbours share at least, < `window`.
        multiple: Begin at multiples of this, of which `length` and `window` are multiples, too.
    """
    if length <= window:
        return [0]
    count = -(-(length - overlap) // (window - overlap))
    return [index * (length - window) // (count - 1) // multiple * multiple for index in range(count)]


class TiledSegmenter(ModulePart, Segmenter):
    """Runs a segmenter over windows of an image, and over the image at several scales.

    A network does best at the size it was trained at: windows keep large images to it, larger scales
    show it small objects. Logits are averaged where windows overlap and over the scales. Features and mask
    queries of several windows are not those of one image, and are left out.

    Args:
        segmenter: Any other segmenter.
        window: Side of the square windows in pixels; None for the whole image at once.
        overlap: Least share of a window that its neighbour covers too, 0 up to (not with) 1.
        scales: Factors on the image's size.

    Raises:
        ConfigError: A number out of range.
    """

    name = "tiled"
    subparts: ClassVar = {"segmenter": "segmenters"}

    def __init__(
        self,
        segmenter: Segmenter,
        window: int | None = None,
        overlap: float = 0.25,
        scales: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        if window is not None and window < 32:
            raise ConfigError(f"a window needs at least 32 pixels per side, not {window}")
        if not 0 <= overlap < 1:
            raise ConfigError(f"overlap must be a share of the window from 0 to below 1, not {overlap}")
        if not scales or min(scales) <= 0:
            raise ConfigError(f"scales must be one or more factors above 0, not {list(scales)}")
        self.segmenter = segmenter
        self.window, self.overlap, self.scales = window, overlap, tuple(float(each) for each in scales)
        self.classes = self.segmenter.classes
        self.eval()

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`.

        Logits have the image's size, unless one window and one scale do: then the segmenter's own
        result is handed on.
        """
        size = images.shape[-2:]
        if self.scales == (1.0,) and (self.window is None or max(size) <= self.window):
            return self.segmenter.segment(images)
        total: Tensor | None = None
        relative = False
        for scale in self.scales:
            scaled = [max(32, round(side * scale)) for side in size]
            windows, relative = self._windows(resize(images, scaled))
            logits = resize(windows, size)
            total = logits if total is None else total + logits
        assert total is not None  # there is at least one scale
        return Segmentation(total / len(self.scales), relative=relative)

    def _windows(self, images: Tensor) -> tuple[Tensor, bool]:
        """Logits averaged over windows, `[B, C, H, W]`; of a single window as they come; and `relative`."""
        height, width = images.shape[-2:]
        side = self.window or max(height, width)
        if side >= max(height, width):
            whole = self.segmenter.segment(images)
            return whole.logits.float(), whole.relative
        shared = int(side * self.overlap)
        total: Tensor | None = None
        relative = False
        count = images.new_zeros((height, width))
        for y in starts(height, side, shared):
            for x in starts(width, side, shared):
                part = images[..., y : y + side, x : x + side]
                found = self.segmenter.segment(part)
                logits, relative = resize(found.logits.float(), part.shape[-2:]), found.relative
                if total is None:
                    total = logits.new_zeros((*logits.shape[:2], height, width))
                    count = count.to(total.device)
                total[..., y : y + side, x : x + side] += logits
                count[y : y + side, x : x + side] += 1
        assert total is not None  # there is at least one window
        return total / count, relative
