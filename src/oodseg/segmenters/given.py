"""Labels in the place of a segmenter: those that were made elsewhere, or by a network that comes along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Segmentation, Segmenter
from oodseg.nn.tensors import resize

if TYPE_CHECKING:
    from torch import Tensor

_SHARPNESS = 10.0  # logit of the given class; the others have 0


class GivenLabels(ModulePart, Segmenter):
    """Stands for labels that are handed in beside each image.

    Args:
        classes: Names of the classes, in the order of the labels.
        window: For slices of scans: the values that are black and white in their images; None for those of
            each scan, and for images that come as they are.
        fallback: Labels images that come without any; None where such images cannot be judged.

    Raises:
        ConfigError: A fallback of other classes.
    """

    name = "given"
    subparts: ClassVar = {"fallback": "segmenters"}

    def __init__(
        self,
        classes: Sequence[str],
        window: Sequence[float] | None = None,
        fallback: Segmenter | None = None,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.window = None if window is None else (float(window[0]), float(window[1]))
        self.fallback = fallback
        if fallback is not None and tuple(fallback.classes) != self.classes:
            raise ConfigError(
                f"labels of {', '.join(self.classes)} cannot come from the segmenter {fallback.name} of "
                f"{', '.join(fallback.classes)}: take one of the same classes"
            )

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`."""
        own = {"classes": self.classes, "window": self.window}
        return own if self.fallback is None else {**own, "fallback": self.fallback}

    def segment(self, images: Tensor) -> Segmentation:
        """Labels images by the fallback, as sharply as if they had been handed in.

        Raises:
            ConfigError: There is none.
        """
        if self.fallback is None:
            raise ConfigError(
                "this failure detector judges labels that were made elsewhere and was given none: "
                "name them with --prediction, or hand them to assess"
            )
        size = (images.shape[-2], images.shape[-1])
        logits = resize(self.fallback.segment(images).logits.float(), size)
        return self.segmentation_of(logits.argmax(1), size)

    def segmentation_of(self, labels: Tensor, size: tuple[int, int]) -> Segmentation:
        """Makes one-hot logits of labels.

        Args:
            labels: Integers `[H, W]` or `[B, H, W]`, indices into `classes`.
            size: Height and width of their images.

        Raises:
            ConfigError: The labels are not of the images' size.
        """
        from torch.nn.functional import one_hot

        labels = labels.long()
        labels = labels[None] if labels.ndim == 2 else labels
        if tuple(labels.shape[-2:]) != size:
            raise ConfigError(
                f"the labels are {list(labels.shape[-2:])} pixels and their image "
                f"{list(size)}: both must be of one size"
            )
        logits = _SHARPNESS * one_hot(labels, len(self.classes)).permute(0, 3, 1, 2).float()
        return Segmentation(logits)
