"""The paper's prompt generator, a Faster R-CNN on the anomaly score map, and with it the image's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import BoxPrompts, Learned, PromptGenerator
from oodseg.prompts.geometry import as_prompts, checked, middle_score, suppress_nested
from oodseg.prompts.pyramid import STRIDES, Pyramid
from oodseg.prompts.rcnn import build_rcnn
from oodseg.prompts.reading import Reading

Features = Sequence[Tensor] | None

# Normalised scores reach from -4 to 16; a quarter of that is what the first convolution expects.
_GAIN = 0.25
_EPSILON = 1e-4  # confidences nearer to 0 or 1 are no different to a logit in float32


class FasterRCNNPrompts(ModulePart, PromptGenerator, Learned):
    """Draws one box around every object that stands out in a score map (S2M, CVPR 2024, Sec. 3.2).

    Args:
        backbone: `"compact"` (shipped; 2.1 M parameters, anchors from 12 to 320 px) or `"resnet50"` (the
            paper's: ResNet-50-FPN, score tiled to three channels, anchors from 32 to 512 px, 1,000
            proposals, two layers of 1,024).
        nms: Boxes of a larger IoU with a more confident one go.
        nested: Boxes that overlap a more confident one in more than this share of the smaller of the two
            go; 1 keeps all.
        max_boxes: Most boxes per image.
        features: Channels of the image features at strides 8 and 16 that join the score (`Sight.features` of
            the `street` detector); empty for a generator that sees the score alone. Training hides them now
            and then, so that one network reads scores from elsewhere too.
        with_features: What confidences mean where there are features.
        score_only: What they mean where there is the score alone.
        scale: Normalisation of the scores that it was trained on; None for that of the detector whose scores
            it reads.

    Raises:
        ConfigError: An unknown backbone or a number out of range.
    """

    name = "faster_rcnn"
    subparts: ClassVar = {"with_features": Reading, "score_only": Reading, "scale": ScoreNormalizer}

    def __init__(
        self,
        backbone: str = "compact",
        nms: float = 0.5,
        nested: float = 0.8,
        max_boxes: int = 100,
        features: Sequence[int] = (),
        with_features: Reading | None = None,
        score_only: Reading | None = None,
        scale: ScoreNormalizer | None = None,
    ) -> None:
        super().__init__()
        shares = {"nms": nms, "nested": nested}
        for key, value in shares.items():
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"{key} must lie between 0 and 1, got {value}")
        if max_boxes < 1:
            raise ConfigError(f"max_boxes must be at least 1, got {max_boxes}")
        self.backbone, self.nms, self.nested, self.max_boxes = backbone, nms, nested, max_boxes
        self.features, self._scale = tuple(features), scale
        self.with_features, self.score_only = with_features or Reading(), score_only or Reading()
        self.rcnn = build_rcnn(backbone, self.features)
        self.in_channels: int = self.rcnn.backbone.in_channels
        self._pyramid = Pyramid(self.rcnn.backbone, self.features)
        self.eval()

    def run_on(self, runtime: str | None) -> Self:
        """See `Part.run_on`."""
        self._pyramid.run_on(runtime)
        return self

    @property
    def scale(self) -> ScoreNormalizer | None:  # type: ignore[override]
        """See `PromptGenerator.scale`."""
        return self._scale

    def losses(
        self, scores: list[Tensor], boxes: list[Tensor], features: Sequence[Features] | None = None
    ) -> dict[str, Tensor]:
        """Computes the four training losses of Faster R-CNN (in training mode only).

        Args:
            scores: Normalised maps, float32 `[H, W]` each, sizes may differ.
            boxes: Float32 `[N, 4]` each, `xyxy`, N may be 0.
            features: Of each map, the image features `[C, h, w]` at strides 8 and 16; None where they are
                hidden.
        """
        targets = [
            {"boxes": each, "labels": torch.ones(len(each), dtype=torch.int64, device=each.device)}
            for each in boxes
        ]
        losses: dict[str, Tensor] = self.detect(scores, features, targets)[1]
        return losses

    def detect(
        self, scores: Sequence[Tensor], features: Sequence[Features] | None = None, targets: Any = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Runs the network: boxes in evaluation mode, losses in training mode.

        Args:
            scores: Normalised maps `[H, W]`.
            features: See `losses`.
            targets: As torchvision's Faster R-CNN takes them.
        """
        rcnn = self.rcnn
        # Here, so that setting them takes effect.
        rcnn.roi_heads.nms_thresh, rcnn.roi_heads.detections_per_img = self.nms, self.max_boxes
        images, targets = rcnn.transform([self.image(each) for each in scores], targets)
        joined = self._joined(images.tensors, features)
        levels = self._pyramid(images.tensors, joined)
        proposals, first = rcnn.rpn(images, levels, targets)
        found, second = rcnn.roi_heads(levels, proposals, images.image_sizes, targets)
        return found, {**first, **second}

    def _joined(self, canvas: Tensor, features: Sequence[Features] | None) -> list[Tensor]:
        """The features of a batch on its padded canvas, zeros where there are none; empty without any."""
        if not self.features or features is None or all(each is None for each in features):
            return []
        joined = []
        for level, channels in enumerate(self.features):
            stride = STRIDES[level]
            sides = [side // stride for side in canvas.shape[-2:]]
            nothing = canvas.new_zeros((channels, *sides))
            batch = torch.stack(
                [nothing if each is None else _fitted(each[level].to(canvas), *sides) for each in features]
            )
            joined.append(batch.contiguous(memory_format=torch.channels_last))
        return joined

    @torch.inference_mode()
    def candidates(self, scores: Tensor, features: Sequence[Tensor] | None = None) -> list[BoxPrompts]:
        """Proposes boxes down to an uncalibrated confidence of 0.01, whatever the operating point.

        Suppression goes from the most confident box down, so that the boxes at any operating point are
        exactly the first ones of these.
        """
        scores = checked(scores).to(next(self.parameters()).device)
        if len(scores) == 0:
            return []
        found = []
        seen = None if features is None else list(zip(*features, strict=True))
        reading = self.reading(features is not None)
        for result, score in zip(self.detect(list(scores), seen)[0], scores, strict=True):
            boxes, confidence = self.ranked(result["boxes"], result["scores"], score, reading)
            keep = suppress_nested(boxes, self.nested)
            found.append(as_prompts(boxes[keep], confidence[keep], self.max_boxes))
        return found

    def reading(self, has_features: bool) -> Reading:
        """Returns what confidences mean with or without image features."""
        return self.with_features if has_features and self.features else self.score_only

    def propose(
        self, scores: Tensor, features: Sequence[Tensor] | None = None, operating_point: str | float = "quiet"
    ) -> list[BoxPrompts]:
        """Proposes boxes; see `PromptGenerator.propose`.

        Raises:
            ScoreMapError: Scores of a wrong shape or not finite.
        """
        least = self.least_confidence(operating_point, features is not None)
        return [each.above(least) for each in self.candidates(scores, features)]

    def least_confidence(self, operating_point: str | float, with_features: bool) -> float:
        """See `PromptGenerator.least_confidence`; a number stands for itself."""
        return self.reading(with_features).least_confidence(operating_point)

    def ranked(
        self, boxes: Tensor, confidence: Tensor, score: Tensor, reading: Reading
    ) -> tuple[Tensor, Tensor]:
        """Ranks the network's boxes by the calibrated confidence, most confident first.

        Args:
            boxes: Float `[N, 4]`, `xyxy`.
            confidence: The network's own, float `[N]`.
            score: The normalised map `[H, W]` they were found in.
            reading: What confidences mean.
        """
        slope, level, offset = reading.calibration
        logit = slope * torch.logit(confidence, _EPSILON) + offset
        if level:
            logit = logit + level * middle_score(score, boxes)
        logit, order = logit.sort(descending=True)  # a stable sort has no ONNX form
        return boxes[order], logit.sigmoid()

    def image(self, score: Tensor) -> Tensor:
        """Makes the network's input from a normalised score map `[H, W]`: float32 `[in_channels, H, W]`."""
        return (score.float() * _GAIN).expand(self.in_channels, -1, -1)


def _fitted(features: Tensor, rows: int, columns: int) -> Tensor:
    """Cuts features `[C, h, w]` or fills them up with zeros, right and below."""
    # A negative margin cuts. Writing into a part of a larger tensor would get lost in a traced graph.
    return F.pad(features, (0, columns - features.shape[-1], 0, rows - features.shape[-2]))
