"""A deep ensemble: several segmenters of the same classes look at the same image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import check_members, full_logits
from oodseg.failures.sampled import Sampled
from oodseg.segmenters import Segmenter


class Ensemble(Sampled):
    """Compares a segmenter with others of its kind (Lakshminarayanan et al., NeurIPS 2017).

    The others may be trained with other seeds (`oodseg train segmenter --set seed=1`), on other images, or be
    other networks altogether.

    Args:
        segmenter: The segmenter under test: its prediction is judged.
        members: The others, at least one, of the same classes in the same order.
        calibration: See `SegmenterAssessor`.
        quality: See `Sampled`.

    Raises:
        ConfigError: No member, or one of other classes.
    """

    name = "ensemble"
    subparts: ClassVar = {**Sampled.subparts, "members": "segmenters"}

    def __init__(
        self,
        segmenter: Segmenter,
        members: Sequence[Segmenter],
        calibration: Calibration | None = None,
        quality: str = "pairwise_dice",
    ) -> None:
        super().__init__(segmenter, calibration, quality)
        self.members = tuple(members)
        if not self.members:
            raise ConfigError("an ensemble needs members beside the segmenter under test: name one or more")
        check_members(self.members, self.classes, "the segmenter under test")
        # Seen by torch, so that they move along and are saved.
        self.networks = nn.ModuleList(each for each in self.members if isinstance(each, nn.Module))
        self.eval()

    def samples(self, image: Tensor) -> tuple[Tensor, Iterator[Tensor]]:
        """See `Sampled.samples`; the segmenter under test is one of them."""
        size = (image.shape[-2], image.shape[-1])
        own = full_logits(self.segmentation(image, None), size)[0]
        return own.argmax(0), self._all(image, size, own)

    def _all(self, image: Tensor, size: tuple[int, int], own: Tensor) -> Iterator[Tensor]:
        yield own
        for each in self.members:
            yield full_logits(each.segment(image[None]), size)[0]
