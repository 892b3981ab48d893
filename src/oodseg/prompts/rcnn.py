"""The networks of the prompt generator: torchvision's Faster R-CNN on score maps of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.nn.vision import (
    AnchorGenerator,
    FasterRCNN,
    FastRCNNPredictor,
    ImageList,
    MultiScaleRoIAlign,
    TwoMLPHead,
    initLevelMapper,
)
from oodseg.prompts.backbones import CompactBackbone, resnet50_backbone

_RATIOS = (0.5, 1.0, 2.0)
_LEVELS = ["0", "1", "2", "3"]
# The coarsest level has stride 64: padding to it keeps every level's stride exact.
_MULTIPLE = 64
# Boxes below this are noise in any use; operating points are chosen among all above it.
_FLOOR = 0.01


class Canvas(nn.Module):
    """Stands in for torchvision's transform: pads to one size and never rescales.

    The release of the paper trained at 800 px and ran at native size; here both see the same map.

    Args:
        multiple: Height and width are padded to multiples of this.
    """

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self._multiple = multiple

    def forward(self, images: list[Tensor], targets: Any = None) -> tuple[Any, Any]:
        """Batches maps `[C, H, W]`."""
        # Sizes stay what they are: in a traced graph they are tensors, and the graph fits any size.
        sizes = [(each.shape[-2], each.shape[-1]) for each in images]
        longest = [max(side) for side in zip(*sizes, strict=True)]
        height, width = ((side + self._multiple - 1) // self._multiple * self._multiple for side in longest)
        padded = [F.pad(each, (0, width - each.shape[-1], 0, height - each.shape[-2])) for each in images]
        canvas = torch.stack(padded).contiguous(memory_format=torch.channels_last)
        return ImageList(canvas, sizes), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Changes nothing: boxes are in pixels of the map already."""
        return result


def _compact(features: Sequence[int]) -> Any:
    backbone = CompactBackbone(features)
    roi, width = 7, 192
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(((12,), (28,), (64,), (144,), (320,)), (_RATIOS,) * 5),
        # The default sends every box below 112 px to the finest level, whose cells see too little of it.
        box_roi_pool=MultiScaleRoIAlign(_LEVELS, roi, 2, canonical_scale=112),
        box_head=TwoMLPHead(backbone.out_channels * roi * roi, width),
        box_predictor=FastRCNNPredictor(width, 2),
        rpn_pre_nms_top_n_train=600,
        rpn_post_nms_top_n_train=300,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_test=100,
        box_batch_size_per_image=128,
    )


def _resnet50(features: Sequence[int]) -> Any:
    if features:
        raise ConfigError("the backbone 'resnet50' reads scores alone: choose 'compact' to join features")
    return FasterRCNN(
        resnet50_backbone(),
        num_classes=2,
        rpn_anchor_generator=AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), (_RATIOS,) * 5),
        rpn_pre_nms_top_n_train=2000,
        rpn_post_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=1000,
    )


_BUILDERS = {"compact": _compact, "resnet50": _resnet50}


def build_rcnn(backbone: str, features: Sequence[int]) -> Any:
    """Builds a Faster R-CNN that reads normalised score maps of any size and gives boxes in their pixels.

    Args:
        backbone: `"compact"` or `"resnet50"`, see `FasterRCNNPrompts`.
        features: Channels of the image features that join the score at strides 8 and 16; empty for none.

    Raises:
        ConfigError: An unknown backbone, or one that cannot join features.
    """
    if backbone not in _BUILDERS:
        raise ConfigError(f"there is no backbone '{backbone}'; choose one of: {', '.join(_BUILDERS)}")
    rcnn = _BUILDERS[backbone](features)
    rcnn.transform = Canvas(_MULTIPLE)
    # A sixth faster on CPUs.
    rcnn.to(memory_format=torch.channels_last)
    rcnn.roi_heads.score_thresh = _FLOOR
    # Left to itself the pool infers these from the first map it sees, wrongly if that is very flat.
    pool = rcnn.roi_heads.box_roi_pool
    pool.scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    pool.map_levels = initLevelMapper(2, 5, pool.canonical_scale, pool.canonical_level)
    return rcnn
