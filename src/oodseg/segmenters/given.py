"""A prediction that was made elsewhere, in the place of a segmenter: to judge labels, not networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation

if TYPE_CHECKING:
    from torch import Tensor

_SHARPNESS = 10.0  # logit of the given class; the others have 0


class GivenLabels:
    """Answers with the labels that were put into it, whatever the picture.

    Args:
        classes: Names of the classes, in the order of the labels.
        window: For slices of scans: the values that are black and white in their pictures; None for pictures
            that come as they are.

    Attributes:
        labels: Integers `[H, W]` or `[B, H, W]`, of the size of the pictures that come next.
    """

    name = "given"

    def __init__(self, classes: Sequence[str], window: Sequence[float] | None = None) -> None:
        self.classes = tuple(classes)
        self.window = None if window is None else (float(window[0]), float(window[1]))
        self.labels: Tensor | None = None

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments."""
        window = None if self.window is None else list(self.window)
        return {"classes": list(self.classes), "window": window}

    def segment(self, images: Tensor) -> Segmentation:
        """Sharp logits of the labels, at the pictures' size; see `Segmenter.segment`.

        Raises:
            ConfigError: No labels were given, or they are not of the pictures' size.
        """
        from torch.nn.functional import one_hot

        if self.labels is None:
            raise ConfigError(
                "this failure detector judges labels that were made elsewhere and was given none: "
                "name them with --prediction"
            )
        labels = self.labels.to(images.device).long()
        labels = labels[None] if labels.ndim == 2 else labels
        if labels.shape[-2:] != images.shape[-2:]:
            raise ConfigError(
                f"the labels are {list(labels.shape[-2:])} pixels and their picture "
                f"{list(images.shape[-2:])}: both must be of one size"
            )
        logits = _SHARPNESS * one_hot(labels, len(self.classes)).permute(0, 3, 1, 2).float()
        return Segmentation(logits)
