"""The stages of a pipeline as networks of tensors alone: what an exported graph computes.

    detector  image [1, 3, h, w]         -> score [h, w]        (image at working size; normalised score)
              (and features [1, c, r, s], where the prompts read them)
    detailed  image [1, 3, 2h, 2w]       -> score [h, w]        (the same of an image twice as large; only
                                                                of a detector with `detail`)
    prompts   score [h, w] (, features)  -> boxes [n, 4], confidence [n]
    encoder   image [1, 3, H, W]         -> embedding ...       (image at full size)
    decoder   embedding ..., boxes [n, 4] -> logits [n, s, s], regions [n, 4]
              (and score [h, w], where the masks look at it)

Images are RGB in 0..1. A logit map covers its region (`xyxy` in pixels of the image); what is above 0
belongs to the object.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, Part, PromptableSegmenter, PromptGenerator, statistics_of
from oodseg.failures.synboost import SynBoostDetector
from oodseg.failures.synthcp_detector import SynthCPDetector
from oodseg.masks.compact import (
    IMAGE_MEAN,
    IMAGE_STD,
    SCORE_HIGH,
    SCORE_LOW,
    SCORE_SCALE,
    CompactSegmenter,
)
from oodseg.masks.crops import box_channel, crop_regions, sample_level
from oodseg.nn.graphs import Axes, Graph
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.geometry import overlap_of_smaller

# An image is halved at most five times: exact for images of up to 112 * 2**6 = 7168 pixels per side.
_LEVELS = 6
# Each round settles one more box of a chain in which every box clashes with the one before it.
_ROUNDS = 16


def build_graphs(
    detector: Detector | None,
    prompts: PromptGenerator,
    masks: PromptableSegmenter,
    operating_point: str | float = "quiet",
) -> dict[str, Graph]:
    """Builds the graphs of a pipeline's parts.

    Args:
        detector: Any detector that is a network and does not look at a re-synthesis (synboost, synthcp).
        prompts: A `FasterRCNNPrompts`.
        masks: A `CompactSegmenter`.
        operating_point: Of the prompts; built into their graph.

    Raises:
        ConfigError: A part has no such form (the message says which one, and what to take in its place), or
            the detector was never fitted.
    """
    if detector is None:
        raise ConfigError("a pipeline without a detector cannot be exported: give it one first")
    # Those that look at a re-synthesis choose its size from the image's, and reduce both with antialiasing.
    if not isinstance(detector, nn.Module) or isinstance(detector, SynBoostDetector | SynthCPDetector):
        raise _no_form("detector", detector, "street")
    if not isinstance(prompts, FasterRCNNPrompts):
        raise _no_form("prompt generator", prompts, "faster_rcnn")
    if not isinstance(masks, CompactSegmenter):
        raise _no_form("promptable segmenter", masks, "compact")
    image: Axes = (1, 3, "height", "width")
    levels: dict[str, Axes] = {
        f"level_{index}": (1, 3, f"height_{index}", f"width_{index}") for index in range(_LEVELS)
    }
    joins = bool(detector.feature_channels) and bool(prompts.features)
    features: dict[str, Axes] = {
        f"features_{level}": (1, channels, f"rows_{level}", f"columns_{level}")
        for level, channels in enumerate(prompts.features if joins else ())
    }
    shown: dict[str, Axes] = {"score": ("score_height", "score_width")} if masks.use_scores else {}
    graphs = [
        Graph(
            "detector",
            _Detector(detector, prompts.scale, joins),
            {"image": image},
            {"score": ("height", "width"), **features},
        ),
        Graph(
            "prompts",
            _Prompts(prompts, operating_point),
            {"score": ("height", "width"), **features},
            {"boxes": ("boxes", 4), "confidence": ("boxes",)},
        ),
        Graph("encoder", _Halvings(), {"image": image}, levels),
        Graph(
            "decoder",
            _CropDecoder(masks),
            {**levels, "boxes": ("boxes", 4), **shown},
            {"logits": ("boxes", masks.size, masks.size), "regions": ("boxes", 4)},
        ),
    ]
    if detector.zoom > 1:
        score: dict[str, Axes] = {"score": ("small_height", "small_width"), **features}
        closer = _Detector(detector, prompts.scale, joins, detector.zoom)
        graphs.insert(1, Graph("detailed", closer, {"image": image}, score))
    return {graph.name: graph for graph in graphs}


def _no_form(room: str, part: Part, instead: str) -> ConfigError:
    return ConfigError(
        f"the {room} '{part.name}' has no ONNX form: export the pipeline with '{instead}' in its place"
    )


class _Detector(nn.Module):
    """Any network-based detector, with its normaliser."""

    def __init__(
        self, detector: Detector, scale: ScoreNormalizer | None, shows_features: bool, zoom: int = 1
    ) -> None:
        super().__init__()
        self.detector, self.shows_features, self.zoom = detector, shows_features, zoom
        self.normalizer = scale or statistics_of(detector)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        sight = self.detector.look(image, self.zoom)
        score = self.normalizer(sight.scores)[0]
        return (score, *(sight.features or ())) if self.shows_features else (score,)


class _Prompts(nn.Module):
    """Faster R-CNN down to the boxes that count, most confident first."""

    def __init__(self, prompts: FasterRCNNPrompts, operating_point: str | float) -> None:
        super().__init__()
        self.prompts, self.operating_point = prompts, operating_point

    def forward(self, score: Tensor, *features: Tensor) -> tuple[Tensor, Tensor]:
        prompts = self.prompts
        found = prompts.detect([score], [[each[0] for each in features]] if features else None)[0][0]
        reading = prompts.reading(bool(features))
        boxes, confidence = prompts.ranked(found["boxes"], found["scores"], score, reading)
        least = reading.least_confidence(self.operating_point)
        keep = outermost(boxes, prompts.nested) & (confidence >= least)
        return boxes[keep], confidence[keep]


def outermost(boxes: Tensor, share: float) -> Tensor:
    """Marks the boxes that `suppress_nested` keeps, as bool `[N]`, without a loop over boxes.

    A box stays if no box before it that stays clashes with it. Starting from "all stay", each round of
    that rule is right about one box more of every chain of clashes; chains are short.
    """
    clash = torch.tril(overlap_of_smaller(boxes) > share, -1).float()
    stays = torch.ones_like(boxes[:, 0])
    for _ in range(_ROUNDS):
        stays = ((clash @ stays) < 0.5).float()
    return stays > 0.5


class _Halvings(nn.Module):
    """The levels of `oodseg.masks.crops.build_pyramid`, always six of them."""

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        levels = [image]
        for _ in range(_LEVELS - 1):
            above = levels[-1]
            # An odd last row or column is averaged with itself, which is what `ceil_mode` does.
            even = F.pad(above, (0, above.shape[-1] % 2, 0, above.shape[-2] % 2), mode="replicate")
            levels.append(F.avg_pool2d(even, 2))
        return tuple(levels)


class _CropDecoder(nn.Module):
    """Crops around boxes, cut inside the graph, and the network over them."""

    def __init__(self, masks: CompactSegmenter) -> None:
        super().__init__()
        self.masks, self.halvings = masks, _Halvings()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        levels, boxes, score = inputs[:_LEVELS], inputs[_LEVELS], inputs[_LEVELS + 1 :]
        regions = crop_regions(boxes, self.masks.context)
        crops = self._crops(levels, regions, IMAGE_MEAN)
        drawn = box_channel(boxes, regions, self.masks.size)
        nothing = torch.zeros_like(drawn)
        shown = [nothing, nothing]
        if score:
            scaled = (score[0] / SCORE_SCALE).clamp(SCORE_LOW, SCORE_HIGH)[None, None]
            sides = (_size(scaled) / _size(levels[0])).flip(0).repeat(2)  # of x and y
            shown = [self._crops(self.halvings(scaled), regions * sides, 0.0), torch.ones_like(drawn)]
        inside = torch.cat([(crops - IMAGE_MEAN) / IMAGE_STD, drawn, *shown], dim=1)
        return self.masks(inside), regions

    def _crops(self, levels: tuple[Tensor, ...], regions: Tensor, outside: float) -> Tensor:
        """Cuts the crops of `sample_crops`, each chosen from all levels."""
        size = self.masks.size
        longest = (regions[:, 2:] - regions[:, :2]).amax(dim=1)
        wanted = torch.log2((longest / size).clamp_min(1.0)).floor().minimum(self._coarsest(levels))
        crops = regions.new_zeros((1, levels[0].shape[1], size, size))
        for index, level in enumerate(levels):
            sampled = sample_level(level.squeeze(0), regions / 2**index, size, outside)
            crops = torch.where((wanted == index)[:, None, None, None], sampled, crops)
        return crops

    def _coarsest(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Index of the last level that `build_pyramid` would have built."""
        last = torch.zeros(())
        for level in levels[:-1]:
            last = last + (_size(level).amax() >= 2 * self.masks.size).float()
        return last


def _size(level: Tensor) -> Tensor:
    """Height and width of `[..., H, W]`, float `[2]`; a traced graph fits any."""
    return torch.stack([torch.as_tensor(side) for side in level.shape[-2:]]).float()
