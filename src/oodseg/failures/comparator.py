"""Image beside re-synthesis: where they differ, the prediction is wrong.

After the failure comparator of SynthCP (Xia et al., ECCV 2020, Sec. 3.3): two encoders that share nothing,
one for the image and one for the re-synthesis, each beside one plane that sums up the class
probabilities; a head for every pixel and one for every class. Without a re-synthesis it is the paper's
baseline of direct prediction.

What differs: narrow encoders after ResNet-18 (or, with a `backbone`, pretrained ones), and the class head
sees, beside the whole image, what lies under each class and the IoU to expect from the error map and the
class probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Learned
from oodseg.failures.comparator_encoders import Encoder, PretrainedEncoder
from oodseg.nn.encoders import Pretrained, load_pretrained
from oodseg.nn.tensors import resize, resize_scores

WIDTHS = (24, 32, 64, 96, 128)
_HIDDEN = 32
_EVIDENCE = 5  # figures per class from `class_evidence`
_EXPECTED_IOU = 2  # which of these is the IoU that the error map predicts


class Comparator(ModulePart, Learned):
    """Estimates where a segmentation is wrong, and how good it is class by class.

    Args:
        classes: Number of classes C.
        widths: Channels at strides 2, 4, 8, ...
        fused: Channels that each stage hands to the pixel head.
        resynthesis: Whether it sees a re-synthesis; without one it is "direct prediction".
        short_side: Short side in pixels of the images it was trained on and looks at.
        unknown: Whether it has a branch that tells unknown objects from everything else that is wrong.
        backbone: timm name of pretrained encoders, one for the image and one for the re-synthesis, in place
            of those of its own; `widths` are then theirs, at strides 2 to 32. See `load_eyes`.

    Raises:
        ConfigError: No class, fewer than two widths, or no such encoder.
    """

    name = "comparator"

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = WIDTHS,
        fused: int = 16,
        resynthesis: bool = True,
        short_side: int = 288,
        unknown: bool = False,
        backbone: str | None = None,
    ) -> None:
        super().__init__()
        sides = 2 if resynthesis else 1
        self.backbone = backbone
        self.encoders = nn.ModuleList()
        if backbone is not None:
            pretrained = [PretrainedEncoder(classes, backbone) for _ in range(sides)]
            self.encoders.extend(pretrained)
            widths = pretrained[0].widths
        if classes < 1 or len(widths) < 2:
            raise ConfigError("a comparator needs at least one class and two widths")
        self.classes, self.widths, self.fused = classes, tuple(widths), fused
        self.short_side, self.multiple = short_side, 2 ** len(widths)
        if backbone is None:
            self.encoders.extend(Encoder(classes, widths) for _ in range(sides))
        self.fuse = nn.ModuleList(nn.Conv2d(sides * width, fused, 1) for width in widths)
        joined = fused * len(widths)
        self.mix = _mix(joined, 2 * fused)
        self.error_head = nn.Conv2d(2 * fused, 1, 1)
        self.whole = nn.Linear(sides * widths[-1], classes)
        self.part = nn.Sequential(nn.Linear(2 * fused + _EVIDENCE, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
        self.unknown = new_unknown_branch(joined, 2 * fused) if unknown else None

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`."""
        eyes = {"widths": self.widths} if self.backbone is None else {"backbone": self.backbone}
        return {
            "classes": self.classes,
            **eyes,
            "fused": self.fused,
            "resynthesis": self.sees_resynthesis,
            "short_side": self.short_side,
            "unknown": self.unknown is not None,
        }

    def load_eyes(self, source: Pretrained) -> None:
        """Puts ImageNet weights into the encoders of a backbone; see `oodseg.nn.encoders.load_pretrained`."""
        for each in self.encoders:
            if self.backbone is not None and isinstance(each, PretrainedEncoder):
                load_pretrained(each.encoder, self.backbone, source)

    @property
    def sees_resynthesis(self) -> bool:
        """True if it takes a re-synthesis."""
        return len(self.encoders) > 1

    def forward(
        self, images: Tensor, probabilities: Tensor, resynthesis: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compares a batch.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1, H and W multiples of `multiple`.
            probabilities: Float `[B, C, H, W]` of the segmenter.
            resynthesis: Float `[B, 3, H, W]` in 0..1; not looked at without an encoder for it.

        Returns:
            Logits of being wrong `[B, H/2, W/2]` and logits of every class's IoU `[B, C]`, float32.
        """
        error, quality, _ = self.judge(images, probabilities, resynthesis)
        return error, quality

    def judge(
        self, images: Tensor, probabilities: Tensor, resynthesis: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what `forward` does, and every class's IoU as the error map predicts it: `[B, C]`, 0..1."""
        joined, deepest = self._join(images, probabilities, resynthesis)
        size = joined.shape[-2:]
        mixed = self.mix(joined)
        error = self.error_head(mixed)[:, 0].float()
        share = F.interpolate(probabilities.float(), size, mode="area").flatten(2)
        under = torch.einsum("bcn,bdn->bcd", share, mixed.float().flatten(2)) / (share.sum(2)[..., None] + 1)
        # The class head learns from the error map, which is not to bend to please it.
        told = class_evidence(share, error.detach().sigmoid().flatten(1))
        whole = self.whole(deepest.mean((2, 3))).float()
        quality = whole + self.part(torch.cat([under, told], 2))[..., 0].float()
        return error, quality, told[..., _EXPECTED_IOU]

    def tell_unknown(
        self, images: Tensor, probabilities: Tensor, resynthesis: Tensor | None = None
    ) -> Tensor:
        """Locates unknown objects: logits `[B, H/2, W/2]`, float32; takes what `forward` takes.

        Raises:
            ConfigError: The comparator has no such branch.
        """
        if self.unknown is None:
            raise ConfigError(
                "this comparator does not tell what is unknown: train it with `oodseg train unknown`"
            )
        logits: Tensor = self.unknown(self._join(images, probabilities, resynthesis)[0])
        return logits[:, 0].float()

    def joined_features(
        self, images: Tensor, probabilities: Tensor, resynthesis: Tensor | None = None
    ) -> Tensor:
        """Returns the input of all heads: all stages' features at half the image size, `[B, F, H/2, W/2]`."""
        return self._join(images, probabilities, resynthesis)[0]

    def _join(
        self, images: Tensor, probabilities: Tensor, resynthesis: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The features of all stages at the size of the first, and those of the deepest."""
        given = [images] if resynthesis is None else [images, resynthesis]
        seen = [encoder(image, probabilities) for encoder, image in zip(self.encoders, given, strict=False)]
        stages = [torch.cat(both, 1) for both in zip(*seen, strict=True)]
        size = stages[0].shape[-2:]
        raised = [resize(F.relu(fuse(stage)), size) for fuse, stage in zip(self.fuse, stages, strict=True)]
        return torch.cat(raised, 1), stages[-1]


def _mix(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


def new_unknown_branch(joined: int, width: int) -> nn.Sequential:
    """Returns a branch from the joined features to one logit per pixel.

    Args:
        joined: Channels of the joined features.
        width: Channels within the branch.
    """
    return nn.Sequential(_mix(joined, width), _mix(width, width), nn.Conv2d(width, 1, 1))


def class_evidence(share: Tensor, wrong: Tensor) -> Tensor:
    """Summarises probabilities and error map per class, without looking at the image.

    Args:
        share: Float `[B, C, N]`, class probabilities of N pixels.
        wrong: Float `[B, N]`, probability that the most likely class is wrong.

    Returns:
        Float `[B, C, 5]`, each in 0..1: logarithmic area of the class; share of it that is right and IoU to
        be expected, by the error map (what is wrong elsewhere goes to the other classes in proportion to
        their probabilities); mean probability under it and soft IoU, by the probabilities.
    """
    top = share.amax(1, keepdim=True)
    own = (share == top).float()
    area, all_pixels = own.sum(2), share.shape[2]
    size = area.clamp_min(1)
    error = wrong[:, None]
    right = (own * (1 - error)).sum(2)
    missed = ((1 - own) * error * share / (1 - top).clamp_min(1e-4)).clamp_max(1).sum(2)
    sure = (own * share).sum(2)
    elsewhere = ((1 - own) * share).sum(2)
    return torch.stack(
        [
            torch.log1p(area) / math.log1p(all_pixels),
            right / size,
            right / (size + missed),
            sure / size,
            sure / (size + elsewhere),
        ],
        2,
    )


def comparator_loss(
    error: Tensor, quality: Tensor, confidence: Tensor, labels: Tensor, truth: Tensor, true_quality: Tensor
) -> dict[str, Tensor]:
    """Computes the two parts of the loss (SynthCP, Eq. 3 and 4, and its released code).

    Args:
        error: Logits `[B, h, w]` of being wrong.
        quality: Logits `[B, C]` of the classes' IoU.
        confidence: Float `[B, H, W]`: maximum class probability; pixels count by its square, so that it is
            the confident mistakes that are learned.
        labels: Integers `[B, H, W]`: the prediction.
        truth: Integers `[B, H, W]`; 255 does not count.
        true_quality: Float `[B, C]` in 0..1; NaN where a class is not present.

    Returns:
        `"pixels"` (weighted binary cross-entropy) and `"classes"` (smooth L1 of the IoU), scalar.
    """
    full = resize_scores(error, truth.shape[-2:])
    wrong = (labels != truth).float()
    weight = confidence.square() * (truth != 255)
    pixels = F.binary_cross_entropy_with_logits(full, wrong, weight, reduction="sum")
    present = ~true_quality.isnan()
    classes = F.smooth_l1_loss(quality.sigmoid()[present], true_quality[present], reduction="sum")
    return {
        "pixels": pixels / (truth != 255).sum().clamp_min(1),
        "classes": classes / present.sum().clamp_min(1),
    }
