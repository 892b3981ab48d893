"""The shipped promptable segmenter: a small U-Net over a crop around each box, all boxes in one batch.

Its prompt is the box and, where given, the anomaly score map around it: an object's score says
roughly where it is, the image says where it ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned, PromptableSegmenter
from oodseg.masks.crops import box_channel, build_pyramid, crop_regions, sample_crops
from oodseg.masks.drawing import draw_mask
from oodseg.masks.growth import outline_whole
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.encoders import ENCODER_MEAN, ENCODER_STD, build_encoder
from oodseg.nn.graphs import Axes, Graph, OneOutput, Tensors
from oodseg.nn.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

IMAGE_MEAN, IMAGE_STD = 0.45, 0.25
SCORE_SCALE, SCORE_LOW, SCORE_HIGH = 4.0, -1.0, 3.0
_BATCH = 32


@dataclass(frozen=True)
class CropEmbedding:
    """An image made ready for crops of any size: halved again and again.

    Attributes:
        pyramid: Float32 `[3, H / 2^i, W / 2^i]`, RGB in 0..1.
        height: Rows of the image.
        width: Columns of the image.
    """

    pyramid: list[Tensor]
    height: int
    width: int


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(x + self.norm2(self.conv2(y)), inplace=True)


def _runner(network: CompactSegmenter) -> Runner:
    size = network.size
    inputs: dict[str, Axes] = {"crops": ("crops", 6, size, size)}
    outputs: dict[str, Axes] = {"logits": ("crops", size, size)}
    return Runner(network, Graph("compact", OneOutput(network), inputs, outputs), partial(_example, size))


def _example(size: int) -> Tensors:
    return (torch.rand(2, 6, size, size, generator=torch.Generator().manual_seed(0)),)


class CompactSegmenter(ModulePart, PromptableSegmenter, Learned):
    """Box-prompted U-Net on crops.

    Args:
        size: Side of the crops in pixels; a multiple of `2 ** len(widths)`.
        context: Factor by which a crop is larger than its box, >= 1.
        widths: Channels at 1/2, 1/4, ... of the crop.
        depths: Residual blocks at each of these; the way back up has one each.
        use_scores: Whether `segment` shows the network the score map beside the box. It is trained for
            both; with those of the shipped `street` detector it helps (`benchmarks/masks.py` prints both).
        backbone: timm name of a pretrained encoder that sees the colours in place of the stages of its own;
            `widths` are then those of the way back up at strides 2, 4, 8 and 16, `size` is a multiple of 32,
            and there are no `depths`. Box and score join at every stride.

    Raises:
        ConfigError: The arguments do not fit together.
    """

    name = "compact"

    def __init__(
        self,
        size: int = 112,
        context: float = 1.5,
        widths: Sequence[int] = (24, 48, 96, 160),
        depths: Sequence[int] = (1, 2, 3, 2),
        use_scores: bool = True,
        backbone: str | None = None,
    ) -> None:
        super().__init__()
        self.size, self.context, self.use_scores = size, context, use_scores
        self.widths, self.depths, self.backbone = tuple(widths), tuple(depths), backbone
        self.encoder: Any = None
        self._runner = _runner(self)
        if backbone is not None:
            self._build_on(backbone)
            return
        if len(widths) != len(depths) or not widths or size % 2 ** len(widths) or context < 1:
            raise ConfigError(
                f"compact: {len(widths)} widths need as many depths (got {len(depths)}), a crop size "
                f"that is a multiple of {2 ** len(widths)} (got {size}), "
                f"and a context of at least 1 (got {context})"
            )
        # Colour 3, box 1, score 1, whether there is a score 1.
        inputs = [6, *widths[:-1]]
        self.down = nn.ModuleList(
            nn.Sequential(
                conv_norm_relu(before, width, 3, stride=2), *(_Residual(width) for _ in range(depth))
            )
            for before, width, depth in zip(inputs, widths, depths, strict=True)
        )
        deepest = widths[-1]
        self.pooled = nn.Sequential(nn.Linear(deepest, deepest), nn.ReLU(), nn.Linear(deepest, deepest))
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, width, 1, bias=False), nn.BatchNorm2d(width))
            for width, deep in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(_Residual(width) for width in widths[:-1])
        self.fine = conv_norm_relu(widths[0] + 6, 16, 3)
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def run_on(self, runtime: str | None) -> Self:
        """See `Part.run_on`."""
        self._runner.runtime = runtime
        return self

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; on a pretrained encoder there are no depths."""
        found = super().arguments()
        if self.backbone is not None:
            del found["depths"]
        return found

    def _build_on(self, backbone: str) -> None:
        """Builds the way back up on a pretrained encoder."""
        size, context, widths = self.size, self.context, self.widths
        if len(widths) != 4 or size % 32 or context < 1:
            raise ConfigError(
                f"compact on {backbone}: needs four widths (got {len(widths)}), a crop size that is a "
                f"multiple of 32 (got {size}), and a context of at least 1 (got {context})"
            )
        self.encoder = build_encoder(backbone).eval()  # see `train`
        inside = [each + 3 for each in self.encoder.feature_info.channels()]
        deepest = widths[-1]
        self.deep = conv_norm_relu(inside[4], deepest, 1)
        self.pooled = nn.Sequential(nn.Linear(deepest, deepest), nn.ReLU(), nn.Linear(deepest, deepest))
        self.skips = nn.ModuleList(
            conv_norm_relu(each, width, 1) for each, width in zip(inside, widths, strict=False)
        )
        below = [*widths[1:], deepest]
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, width, 1, bias=False), nn.BatchNorm2d(width))
            for width, deep in zip(widths, below, strict=True)
        )
        self.up = nn.ModuleList(_Residual(width) for width in widths)
        self.fine = conv_norm_relu(widths[0] + 6, 16, 3)
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def train(self, mode: bool = True) -> CompactSegmenter:
        """Switches the mode; the pretrained encoder's batch statistics are never trained."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def _upwards(self, crops: Tensor) -> Tensor:
        """Features at half the size of the crops, from the pretrained encoder."""
        x: Tensor
        colour = (crops[:, :3] * IMAGE_STD + IMAGE_MEAN - ENCODER_MEAN) / ENCODER_STD
        levels = self.encoder(colour.contiguous(memory_format=torch.channels_last))
        prompt, joined = crops[:, 3:], []
        for level in levels:
            prompt = F.avg_pool2d(prompt, 2)
            joined.append(torch.cat([level, prompt.to(level.dtype)], dim=1))
        x = self.deep(joined[4])
        x = x + self.pooled(x.mean(dim=(2, 3)))[:, :, None, None].to(x.dtype)
        parts = zip(
            reversed(self.lateral), reversed(self.up), reversed(self.skips), reversed(joined[:4]), strict=True
        )
        for lateral, block, skip, level in parts:
            raised = F.interpolate(lateral(x), scale_factor=2.0, mode="nearest")
            x = block(F.relu(skip(level) + raised, inplace=True))
        return x

    def forward(self, crops: Tensor) -> Tensor:
        """Outlines one object per crop.

        Args:
            crops: Float `[N, 6, size, size]`: normalised colour, box, score, has-score flag.

        Returns:
            Mask logits `[N, size, size]`.
        """
        x = self._upwards(crops) if self.encoder is not None else self._own(crops)
        raised = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        logits: Tensor = self.head(self.fine(torch.cat([raised, crops.to(raised.dtype)], dim=1)))
        return logits[:, 0].float()

    def _own(self, crops: Tensor) -> Tensor:
        """Features at half the size of the crops, from stages of its own."""
        x: Tensor = crops
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        x = x + self.pooled(x.mean(dim=(2, 3)))[:, :, None, None].to(x.dtype)
        for lateral, block, skip in zip(
            reversed(self.lateral), reversed(self.up), reversed(skips[:-1]), strict=True
        ):
            raised = F.interpolate(lateral(x), scale_factor=2.0, mode="nearest")
            x = block(F.relu(skip + raised, inplace=True))
        return x

    @torch.inference_mode()
    def embed(self, image: Tensor) -> CropEmbedding:
        """Halves an image, float32 `[3, H, W]`, RGB in 0..1, again and again."""
        return CropEmbedding(build_pyramid(image, self.size), image.shape[1], image.shape[2])

    @torch.inference_mode()
    def segment(self, embedding: CropEmbedding, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box, 32 boxes per batch; see `PromptableSegmenter.segment`.

        A mask lies inside its box enlarged by `context`; one that runs out of that is drawn again in a
        larger box (`oodseg.masks.growth`). One that the network leaves empty is its filled box; the mask
        of a box outside the image is empty. Puts the network into eval mode.
        """
        self.eval()
        first = embedding.pyramid[0]

        def outline(prompts: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
            return self._outline(embedding, torch.from_numpy(prompts).to(first), scores)

        found = outline_whole(outline, boxes.detach().cpu().numpy().astype(np.float32))
        return torch.from_numpy(found).to(boxes.device)

    def _outline(
        self, embedding: CropEmbedding, prompts: Tensor, scores: Tensor | None
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Masks bool `[N, H, W]` of boxes, and what their crops cover, float32 `[N, 4]`."""
        regions = crop_regions(prompts, self.context)
        crops = self._crops(embedding, prompts, regions, scores)
        masks = np.zeros((len(prompts), embedding.height, embedding.width), dtype=np.bool_)
        for start in range(0, len(prompts), _BATCH):
            part = slice(start, start + _BATCH)
            (logits,) = self._runner(crops[part].contiguous(memory_format=torch.channels_last))
            for mask, logit, box, region in zip(
                masks[part], logits.cpu().numpy(), prompts[part].tolist(), regions[part].tolist(), strict=True
            ):
                draw_mask(mask, logit, box, region)
        return masks, regions.float().cpu().numpy()

    def _crops(
        self, embedding: CropEmbedding, boxes: Tensor, regions: Tensor, scores: Tensor | None
    ) -> Tensor:
        """The network's input, float `[N, 6, size, size]`, for boxes and their crop regions."""
        # Normalised here, not in `embed`: the crops have far fewer pixels than the image.
        colour = (sample_crops(embedding.pyramid, regions, self.size, IMAGE_MEAN) - IMAGE_MEAN) / IMAGE_STD
        drawn = box_channel(boxes, regions, self.size)
        if scores is None or not self.use_scores:
            nothing = torch.zeros_like(drawn)
            return torch.cat([colour, drawn, nothing, nothing], dim=1)
        height, width = scores.shape
        scale = boxes.new_tensor([width / embedding.width, height / embedding.height]).repeat(2)
        scaled = (scores.to(boxes) / SCORE_SCALE).clamp(SCORE_LOW, SCORE_HIGH)
        around = sample_crops(build_pyramid(scaled[None], self.size), regions * scale, self.size)
        return torch.cat([colour, drawn, around, torch.ones_like(drawn)], dim=1)
