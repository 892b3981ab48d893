"""Test-time augmentation: the same image mirrored and at other sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import full_logits
from oodseg.failures.sampled import Sampled
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter


class TestTimeAugmentation(Sampled):
    """Compares predictions of an image at several sizes, each as it is and mirrored (Wang et al. 2019).

    The cheap stand-in for an ensemble (ValUES: Kahl et al., ICLR 2024): it needs no training and takes any
    segmenter. G. Wang et al., Neurocomputing 2019, arXiv 1807.07356.

    Args:
        segmenter: The segmenter under test; what is judged is its prediction of the image as it is.
        calibration: See `SegmenterAssessor`.
        quality: See `Sampled`.
        scales: Sizes at which the image is predicted, 1 for its own.
        mirror: Whether each is predicted mirrored left to right, too.

    Raises:
        ConfigError: No size or one of 0 or less, or a single prediction, which agrees with itself.
    """

    __test__ = False  # pytest takes the name for a test's
    name = "tta"

    def __init__(
        self,
        segmenter: Segmenter,
        calibration: Calibration | None = None,
        quality: str = "pairwise_dice",
        scales: Sequence[float] = (1.0, 0.75, 1.25),
        mirror: bool = True,
    ) -> None:
        super().__init__(segmenter, calibration, quality)
        self.scales, self.mirror = tuple(float(scale) for scale in scales), mirror
        if min(self.scales, default=0.0) <= 0 or len(self.scales) * (1 + mirror) < 2:
            raise ConfigError(
                f"tta compares two predictions at least, at sizes above 0, not at {list(scales)}: add a "
                "size, or mirror"
            )

    def samples(self, image: Tensor) -> tuple[Tensor, Iterator[Tensor]]:
        """See `Sampled.samples`."""
        size = (image.shape[-2], image.shape[-1])
        plain = full_logits(self.segmentation(image, None), size)[0]
        return plain.argmax(0), self._views(image, size, plain)

    def _views(self, image: Tensor, size: tuple[int, int], plain: Tensor) -> Iterator[Tensor]:
        for scale in self.scales:
            sides = round(size[0] * scale), round(size[1] * scale)
            seen = image if sides == size else resize(image[None], sides, antialias=scale < 1)[0]
            yield plain if sides == size else full_logits(self.segmentation(seen, None), size)[0]
            if self.mirror:
                yield full_logits(self.segmentation(seen.flip(-1), None), size)[0].flip(-1)
