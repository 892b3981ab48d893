"""EoMT: a plain vision transformer with mask queries, which takes square images of one size only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.parts import MaskQueries, Segmentation
from oodseg.nn.tensors import resize
from oodseg.segmenters.hub_masks import MaskSegmenter, class_logits
from oodseg.segmenters.tiled import starts

_NOWHERE = -50.0  # logit of a mask outside its window: a sigmoid of 2e-22


class EomtSegmenter(MaskSegmenter):
    """EoMT (Kerssies et al., CVPR 2025).

    As its processor says (`do_split_image`), the image is scaled until its short side fits and is cut
    along the long one into overlapping squares, or is scaled until all of it fits and is padded in black.
    The queries of all squares are handed on as those of one image: outside its square a mask is nowhere,
    and where n squares overlap every mask counts an n-th, so that `class_logits` averages their scores.
    """

    name, model_class = "eomt", "EomtForUniversalSegmentation"

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`."""
        config = self.network.config
        side = int(config.image_size)
        # Pixels per side of a mask's cell: windows begin where cells do.
        cell = int(config.patch_size) // 2 ** int(config.num_upscale_blocks)
        images = self._scaled(images, side, cell)
        height, width = images.shape[-2:]
        corners = [
            (y, x) for y in starts(height, side, multiple=cell) for x in starts(width, side, multiple=cell)
        ]
        found = [self.queries(self._square(images, *corner, side)) for corner in corners]
        cells = [(y // cell, x // cell) for y, x in corners]
        queries = _joined(cells, found, (height // cell, width // cell))
        return Segmentation(class_logits(queries), None, queries)

    def _scaled(self, images: Tensor, side: int, cell: int) -> Tensor:
        """Scaled so that the short (split) or the long side (padded) is `side`, the other whole cells."""
        sides = images.shape[-2:]
        factor = side / (min(sides) if self.settings.get("do_split_image", False) else max(sides))
        size = [max(cell, round(each * factor / cell) * cell) for each in sides]
        return resize(images, size, antialias=True)

    def _square(self, images: Tensor, y: int, x: int, side: int) -> Tensor:
        window = images[..., y : y + side, x : x + side]
        missing = (0, side - window.shape[-1], 0, side - window.shape[-2])
        return self.normalized(F.pad(window, missing))


def _joined(corners: list[tuple[int, int]], found: list[MaskQueries], size: tuple[int, int]) -> MaskQueries:
    """The queries of windows as queries of the image that they were cut from; all in cells of the masks."""
    first = found[0].masks
    each, rows, columns = first.shape[1:]
    masks = first.new_full((len(first), each * len(found), *size), _NOWHERE)
    count = first.new_zeros(size)
    for index, ((y, x), queries) in enumerate(zip(corners, found, strict=True)):
        own = slice(index * each, (index + 1) * each)
        covered = masks[:, own, y : y + rows, x : x + columns]
        covered.copy_(queries.masks[..., : covered.shape[-2], : covered.shape[-1]])
        count[y : y + rows, x : x + columns] += 1
    if bool((count > 1).any()):
        # The logit of sigmoid(m) / n, by way of logarithms that stay finite.
        share = F.logsigmoid(masks) - count.log()
        masks = torch.where(count > 1, share - torch.log1p(-share.exp().clamp_max(0.5)), masks)
    return MaskQueries(torch.cat([queries.classes for queries in found], 1), masks)
