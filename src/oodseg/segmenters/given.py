"""A prediction that was made elsewhere, in the place of a segmenter: to judge labels, not networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation, Segmenter

if TYPE_CHECKING:
    from torch import Tensor

_SHARPNESS = 10.0  # logit of the given class; the others have 0


class GivenLabels(Segmenter):
    """Stands for labels that are handed in beside each image: it cannot segment one itself.

    Args:
        classes: Names of the classes, in the order of the labels.
        window: For slices of scans: the values that are black and white in their images; None for images
            that come as they are.
    """

    name = "given"

    def __init__(self, classes: Sequence[str], window: Sequence[float] | None = None) -> None:
        self.classes = tuple(classes)
        self.window = None if window is None else (float(window[0]), float(window[1]))

    def segment(self, images: Tensor) -> Segmentation:
        """Refuses: there is nothing to segment with.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "this failure detector judges labels that were made elsewhere and was given none: "
            "name them with --prediction, or hand them to assess"
        )

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
