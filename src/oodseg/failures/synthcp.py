"""Synthesize, then compare (SynthCP: Xia et al., ECCV 2020, arXiv 2003.08440)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.comparator import Comparator
from oodseg.failures.detector import (
    Measurement,
    SegmenterAssessor,
    full_logits,
)
from oodseg.failures.spade import SpadeGenerator, working_size
from oodseg.nn.tensors import resize, resize_scores
from oodseg.segmenters import Segmenter


class DirectPrediction(SegmenterAssessor, Learned):
    """Runs the comparator without a re-synthesis, on image and prediction alone.

    Args:
        segmenter: The segmenter under test.
        comparator: A comparator that sees no re-synthesis.
        calibration: See `SegmenterAssessor`.

    Raises:
        ConfigError: Another number of classes, or a comparator of the other kind.
    """

    name = "direct"
    subparts: ClassVar = {**SegmenterAssessor.subparts, "comparator": Comparator}
    _resynthesis = False

    def __init__(
        self,
        segmenter: Segmenter,
        comparator: Comparator,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(segmenter, calibration)
        self.comparator = comparator
        if self.comparator.sees_resynthesis != self._resynthesis:
            wanted = "a" if self._resynthesis else "no"
            raise ConfigError(f"{self.name} takes a comparator that sees {wanted} re-synthesis")
        check_classes(self.segmenter, "comparator", self.comparator.classes)
        self.eval()

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        size = (image.shape[-2], image.shape[-1])
        logits = full_logits(self.segmentation(image, labels), size)
        predicted = logits.argmax(1)
        resynthesis = self.resynthesize(predicted)
        error, quality = compare(self.comparator, image[None], logits, resynthesis)
        made = None if resynthesis is None else resynthesis[0]
        return Measurement(predicted[0], error[0], quality[0], made)

    def resynthesize(self, labels: Tensor) -> Tensor | None:
        """Reconstructs no image."""
        return None


class SynthCP(DirectPrediction):
    """Re-synthesises an image from the prediction and compares it with the real image.

    Args:
        segmenter: The segmenter under test.
        generator: Label map to image.
        comparator: A comparator that sees a re-synthesis.
        calibration: See `SegmenterAssessor`.

    Raises:
        ConfigError: The three differ in the number of classes, or a comparator of the other kind.
    """

    name = "synthcp"
    subparts: ClassVar = {**DirectPrediction.subparts, "generator": SpadeGenerator}
    _resynthesis = True

    def __init__(
        self,
        segmenter: Segmenter,
        generator: SpadeGenerator,
        comparator: Comparator,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(segmenter, comparator, calibration)
        self.generator = generator
        check_classes(self.segmenter, "generator", self.generator.classes)
        self.eval()

    def resynthesize(self, labels: Tensor) -> Tensor | None:
        """Re-synthesises the image from the prediction, `[B, 3, h, w]`."""
        return self.generator.resynthesize(labels)


def compare(
    comparator: Comparator, images: Tensor, logits: Tensor, resynthesis: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Runs a comparator at the size it was trained at.

    A class's IoU is the geometric mean of what its head and what the error map predict: on
    validation images that agrees with the truth better than either (benchmarks/ABLATIONS.md).

    The released code adds the maximum softmax to the comparator's confidence. The comparator sees the softmax
    itself, and alone it finds more of the errors.

    Args:
        comparator: Any comparator.
        images: Float `[B, 3, H, W]` in 0..1.
        logits: The segmenter's, float `[B, C, H, W]`.
        resynthesis: Float `[B, 3, h, w]` in 0..1, or None.

    Returns:
        Log-odds of being wrong, float32 `[B, H, W]`, and the IoU of every class, float32 `[B, C]` in 0..1.
    """
    with fast_autocast(images.device):
        error, quality, expected = comparator.judge(*at_its_size(comparator, images, logits, resynthesis))
    return _full_odds(error, images), (quality.sigmoid() * expected).sqrt()


def tell_unknown(
    comparator: Comparator, images: Tensor, logits: Tensor, resynthesis: Tensor | None
) -> Tensor:
    """Log-odds of an unknown object, float32 `[B, H, W]`; takes what `compare` takes.

    Raises:
        ConfigError: The comparator has no branch for it.
    """
    with fast_autocast(images.device):
        odds = comparator.tell_unknown(*at_its_size(comparator, images, logits, resynthesis))
    return _full_odds(odds, images)


def at_its_size(
    comparator: Comparator, images: Tensor, logits: Tensor, resynthesis: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Resizes image, class probabilities and re-synthesis for a comparator; arguments of `compare`."""
    side = working_size(images.shape[-2], images.shape[-1], comparator.short_side, comparator.multiple)
    other = None if resynthesis is None else _shrink(resynthesis, side)
    return _shrink(images, side), _shrink(logits.softmax(1), side), other


def _full_odds(odds: Tensor, images: Tensor) -> Tensor:
    size = (images.shape[-2], images.shape[-1])
    return resize_scores(odds.float(), size).clamp(-16, 16)


def check_classes(segmenter: Segmenter, part: str, count: int) -> None:
    """Checks that a part was made for as many classes as a segmenter has.

    Raises:
        ConfigError: It was not.
    """
    if len(segmenter.classes) != count:
        raise ConfigError(
            f"the segmenter {segmenter.name} has {len(segmenter.classes)} classes and the {part} {count}: "
            "train the part on this segmenter's classes"
        )


def _shrink(maps: Tensor, size: tuple[int, int]) -> Tensor:
    smaller = size[0] < maps.shape[-2]
    return resize(maps.float(), size, antialias=smaller)
