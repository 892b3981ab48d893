"""Reads prompt generators that were trained with detectron2: the released S2M one among them.

The release (S2M, CVPR 2024) is detectron2's Faster R-CNN with ResNet-50-FPN for one class. It runs here on
torchvision's; what the two do differently:

| | detectron2 | torchvision | here |
|---|---|---|---|
| names | `backbone.bottom_up.res2.0.conv1.norm` | `backbone.body.layer1.0.bn1` | `convert` |
| classes | background last, no box for it | background first, with a box | `convert` |
| anchors | exact; strides 4 to 64 | rounded; stride from the image's size | `_Anchors` |
| RoIAlign | half-pixel aligned, as many samples as cells | shifted, 2 x 2 samples | `_AlignedPool` |
| stride of a stage | first 1x1 convolution (MSRA's weights) | 3x3 convolution | `stride_in_1x1` |
| padding | to multiples of 32 | to multiples of 64 in this package | 32 |
| input | raw scores on three channels, minus the mean colour of ImageNet | | `image` |

All of this follows detectron2's public code and is tested against a reference written after it, on random
weights. What only the released file can show has not been seen: that it has exactly these names, that it
was trained with `stride_in_1x1` (a file does not say), and that it finds objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.core.errors import WeightsError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import OPERATING_POINTS
from oodseg.nn.checkpoints import read_state_dict
from oodseg.nn.vision import AnchorGenerator, roi_align
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.rcnn import Canvas
from oodseg.prompts.reading import Reading

# The release keeps every box above 0.05.
RELEASED = Reading((1.0, 0.0, 0.0), dict.fromkeys(OPERATING_POINTS, 0.05))
# detectron2's default pixel mean, in its channel order blue, green, red.
PIXEL_MEAN = (103.53, 116.28, 123.675)
_STRIDES = (4, 8, 16, 32, 64)
_ROI = 7
_NAMES = (
    (r"backbone\.bottom_up\.stem\.conv1\.weight", "backbone.body.conv1.weight"),
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.", "backbone.body.bn1."),
    (r"(?<=\d\.)conv(\d)\.norm\.", r"bn\1."),
    (r"(?<=\d\.)shortcut\.norm\.", "downsample.1."),
    (r"(?<=\d\.)shortcut\.", "downsample.0."),
    (r"backbone\.bottom_up\.res(\d)", lambda found: f"backbone.body.layer{int(found[1]) - 1}"),
    (r"backbone\.fpn_lateral(\d)", lambda found: f"backbone.fpn.inner_blocks.{int(found[1]) - 2}.0"),
    (r"backbone\.fpn_output(\d)", lambda found: f"backbone.fpn.layer_blocks.{int(found[1]) - 2}.0"),
    (r"proposal_generator\.rpn_head\.conv\.", "rpn.head.conv.0.0."),
    (r"proposal_generator\.rpn_head\.objectness_logits\.", "rpn.head.cls_logits."),
    (r"proposal_generator\.rpn_head\.anchor_deltas\.", "rpn.head.bbox_pred."),
    (r"roi_heads\.box_head\.fc1\.", "roi_heads.box_head.fc6."),
    (r"roi_heads\.box_head\.fc2\.", "roi_heads.box_head.fc7."),
)
# Constants that older versions of detectron2 saved along.
_CONSTANTS = re.compile(r"pixel_(mean|std)|proposal_generator\.anchor_generator\.")


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames and reorders a state dictionary of detectron2's Faster R-CNN for torchvision's.

    Args:
        state: Names to tensors of a `GeneralizedRCNN` with ResNet-FPN backbone and a box head of two layers,
            with any number of classes, each with boxes of its own.

    Returns:
        What `torchvision.models.detection.fasterrcnn_resnet50_fpn` loads.
    """
    converted: dict[str, Tensor] = {}
    for old, tensor in state.items():
        if _CONSTANTS.match(old):
            continue
        name, value = old, tensor
        for pattern, replacement in _NAMES:
            name = re.sub(pattern, replacement, name)
        if name.startswith("roi_heads.box_predictor.cls_score."):
            value = tensor.roll(1, 0)
        elif name.startswith("roi_heads.box_predictor.bbox_pred."):
            value = torch.cat([torch.zeros_like(tensor[:4]), tensor])
        converted[name] = value
        if name.endswith(".running_var"):
            # Part of every batch norm here, and of no meaning once trained.
            converted[name.removesuffix("running_var") + "num_batches_tracked"] = torch.tensor(0)
    return converted


class DetectronPrompts(FasterRCNNPrompts):
    """A Faster R-CNN R50-FPN of detectron2 that reads raw scores, such as the released generator of S2M.

    That one was trained on RPL's energies (about -20 to 10) as they come. A pipeline hands its prompt
    generator normalised scores; this one says which normalisation it wants (`scale`), which leaves raw
    scores from `mean - 4 std` to `mean + 16 std` untouched, and undoes it. Scores of another kind need
    another scale: for entropies the paper multiplied by 20.

    Args:
        source: Checkpoint file (`.pth`) as detectron2 saves it, nothing in it is executed; None for random
            weights, to be loaded later.
        stride_in_1x1: Where a stage's first block has its stride: in the first 1x1 convolution, as with the
            MSRA weights that detectron2 starts from by default, or in the 3x3 one, as in torchvision's.
        mean: See above.
        std: See above.
        nms: See `FasterRCNNPrompts`; the defaults of this and of the rest are the release's.
        nested: See there.
        max_boxes: See there.
        score_only: See there.

    Raises:
        WeightsError: The file is missing, damaged, or of another network.
        ConfigError: A number out of range.
    """

    name = "detectron2"

    def __init__(
        self,
        source: str | None = None,
        stride_in_1x1: bool = True,
        mean: float = -12.0,
        std: float = 2.0,
        nms: float = 0.5,
        nested: float = 1.0,
        max_boxes: int = 100,
        score_only: Reading = RELEASED,
    ) -> None:
        super().__init__("resnet50", nms, nested, max_boxes, score_only=score_only)
        self.stride_in_1x1 = stride_in_1x1
        self.mean, self.std = mean, std
        self.rcnn.transform = Canvas(_STRIDES[3])
        sizes = tuple((8 * stride,) for stride in _STRIDES)
        self.rcnn.rpn.anchor_generator = _Anchors(sizes, ((0.5, 1.0, 2.0),) * len(_STRIDES))
        self.rcnn.roi_heads.box_roi_pool = _AlignedPool()
        if stride_in_1x1:
            body = self.rcnn.backbone.body
            for stage in (body.layer2, body.layer3, body.layer4):
                stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
        if source is not None:
            self._read(Path(source).expanduser())

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights lie beside them, wherever they came from."""
        keys = ("stride_in_1x1", "mean", "std", "nms", "nested", "max_boxes", "score_only")
        return {key: vars(self)[key] for key in keys}

    @property
    def scale(self) -> ScoreNormalizer:  # type: ignore[override]
        """See `PromptGenerator.scale`."""
        return ScoreNormalizer(self.mean, self.std)

    def image(self, score: Tensor) -> Tensor:
        """Returns the raw scores on three channels minus the mean colour, float32 `[3, H, W]`."""
        raw = score.float() * self.std + self.mean
        return raw.expand(3, -1, -1) - raw.new_tensor(PIXEL_MEAN)[:, None, None]

    def _read(self, path: Path) -> None:
        state = read_state_dict(path)
        try:
            self.rcnn.load_state_dict(convert(state))
        except RuntimeError as error:
            fault = str(error).splitlines()[1].strip().rstrip(".")
            raise WeightsError(
                f"{path} is not a Faster R-CNN R50-FPN of one class as detectron2 saves it ({fault})"
            ) from error


class _Anchors(AnchorGenerator):  # type: ignore[misc]
    """Anchors of exact sizes at strides that do not depend on the image."""

    def generate_anchors(
        self,
        scales: Any,
        aspect_ratios: Any,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        sides = torch.as_tensor(scales, dtype=dtype, device=device)
        # A ratio is height over width, at the same area.
        stretch = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()
        widths, heights = (sides / stretch[:, None]).reshape(-1), (sides * stretch[:, None]).reshape(-1)
        return torch.stack([-widths, -heights, widths, heights], dim=1) / 2

    def grid_anchors(self, grid_sizes: Any, strides: Any) -> Any:
        return super().grid_anchors(grid_sizes, [[stride, stride] for stride in _STRIDES])


class _AlignedPool(nn.Module):
    """RoIAlign without its half-pixel shift, from the level that fits a box (FPN, CVPR 2017, Eq. 1)."""

    def forward(self, levels: dict[str, Tensor], boxes: list[Tensor], image_shapes: Any) -> Tensor:
        owner = [torch.full_like(each[:, :1], index) for index, each in enumerate(boxes)]
        rois = torch.cat([torch.cat(owner), torch.cat(boxes)], dim=1)
        side = ((rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])).sqrt()
        wanted = (side / 224 + 1e-8).log2().add(4).floor().clamp(2, 5)
        pooled = rois.new_zeros((rois.shape[0], levels["0"].shape[1], _ROI, _ROI))
        for index in range(4):
            chosen = (wanted == index + 2).nonzero()[:, 0]
            pooled[chosen] = roi_align(
                levels[str(index)], rois[chosen], _ROI, 1 / _STRIDES[index], sampling_ratio=0, aligned=True
            )
        return pooled
