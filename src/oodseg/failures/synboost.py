"""SynBoost: what a re-synthesis cannot explain, weighed by how unsure the segmenter is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError
from oodseg.failures.detector import full_logits
from oodseg.failures.dissimilarity import WIDTHS, Dissimilarity
from oodseg.failures.features import cosine_similarity, feature_stages
from oodseg.failures.spade import SpadeGenerator, one_hot, working_size
from oodseg.failures.synthcp import check_classes
from oodseg.nn.taught import Seen, TaughtDetector
from oodseg.nn.tensors import resize
from oodseg.nn.uncertainty import softmax_entropy
from oodseg.segmenters import Segmenter


@dataclass(frozen=True)
class SeenTwice(Seen):
    """An image beside its re-synthesis, at the generator's size.

    Attributes:
        images: Float `[B, 3, h, w]`, RGB in 0..1.
        resynthesis: Float `[B, 3, h, w]` likewise.
        priors: Float `[B, 3, h, w]`: entropy, perceptual difference and softmax distance.
    """

    images: Tensor
    resynthesis: Tensor
    priors: Tensor


class SynBoostDetector(TaughtDetector[SeenTwice]):
    """Dissimilarity of image and re-synthesis (Di Biase et al., CVPR 2021, arXiv 2103.05445).

    The score is `w P + (1 - w) H`: P the probability of a dissimilarity network that looks at image,
    re-synthesis, labels, entropy, perceptual difference and softmax distance, H the normalised entropy.

    The release brings entropy and distance to 0..1 by each image's own extremes and to 8 bits; here they are
    the normalised entropy and `1 - (P_1 - P_2)` of the two likeliest classes as they are. Its perceptual
    difference is of VGG-19's features; here it is one minus the cosine similarity of the segmenter's.

    Args:
        segmenter: One that hands out its features.
        generator: Label map to image for that segmenter's classes.
        widths: Of `Dissimilarity`.
        ensemble: w, 0..1; 0.75 in the release.
        smooth: See `TaughtDetector`.

    Raises:
        ConfigError: Another number of classes, or a number out of range.
    """

    name = "synboost"
    subparts: ClassVar = {"segmenter": "segmenters", "generator": SpadeGenerator}
    keeps_classes: ClassVar[bool] = True

    def __init__(
        self,
        segmenter: Segmenter,
        generator: SpadeGenerator,
        widths: Sequence[int] = WIDTHS,
        ensemble: float = 0.75,
        smooth: float = 0.0,
    ) -> None:
        super().__init__(smooth)
        if not 0 <= ensemble <= 1:
            raise ConfigError(f"ensemble must be a weight between 0 and 1, not {ensemble}")
        check_classes(segmenter, "generator", generator.classes)
        if not widths or generator.multiple % 2 ** (len(widths) - 1):
            raise ConfigError(
                f"the generator's sides are multiples of {generator.multiple}: give fewer widths"
            )
        self.segmenter, self.generator = segmenter, generator
        self.widths, self.ensemble = tuple(widths), ensemble
        self.head = Dissimilarity(generator.classes, widths)
        self.eval()

    @torch.no_grad()
    def see(self, images: Tensor) -> SeenTwice:
        """See `TaughtDetector.see`."""
        size, generator = (images.shape[-2], images.shape[-1]), self.generator
        side = working_size(*size, generator.short_side, generator.multiple)
        with fast_autocast(images.device):
            logits = full_logits(self.segmenter.segment(images), size).float()
            made = generator.resynthesize(logits.argmax(1)).clone()
            taken = resize(images, side, antialias=True)
            stages = [feature_stages(self.segmenter, each) for each in (taken, made)]
        logits = resize(logits.clone(), side, antialias=True)
        first, second = logits.softmax(1).topk(2, 1).values.unbind(1)
        differs = 1 - cosine_similarity(stages[0], stages[1], side)
        priors = torch.stack([softmax_entropy(logits), differs, 1 - (first - second)], 1)
        return SeenTwice(logits, taken, made, priors)

    def read(self, seen: SeenTwice) -> Tensor:
        """See `TaughtDetector.read`: logits of being explained and of being not, `[B, 2, h, w]`."""
        labels = one_hot(seen.logits.argmax(1), self.generator.classes)
        logits: Tensor = self.head(seen.images, seen.resynthesis, labels, seen.priors).float()
        return logits

    def judge(self, seen: SeenTwice) -> Tensor:
        """See `TaughtDetector.judge`."""
        return ensemble(self.read(seen), seen.priors[:, 0], self.ensemble)


def ensemble(logits: Tensor, entropy: Tensor, weight: float = 0.75) -> Tensor:
    """Joins dissimilarity and entropy, `w P + (1 - w) H`.

    Args:
        logits: Of being explained and of being not, float `[B, 2, ...]`.
        entropy: H, float `[B, ...]` in 0..1.
        weight: w.

    Returns:
        Float `[B, ...]` in 0..1.
    """
    return weight * logits.softmax(1)[:, 1] + (1 - weight) * entropy
