"""The contract of every promptable segmenter: look at a picture once, then outline any number of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class PromptableSegmenter(Protocol):
    """Turns boxes into outlines.

    Attributes:
        name: Key in `MASKS`.
    """

    name: str

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments: `MASKS[name](**config)` rebuilds the segmenter."""
        ...

    def embed(self, image: Tensor) -> Any:
        """Encodes one picture.

        Args:
            image: Float32 `[3, H, W]`, RGB in 0..1, at the size of the picture that was handed in.

        Returns:
            Whatever `segment` needs; opaque to the caller.
        """
        ...

    def segment(self, embedding: Any, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box.

        Args:
            embedding: What `embed` returned for the picture.
            boxes: Float32 `[N, 4]`, `xyxy` in pixels of that picture.
            scores: Normalised score map, float32 `[h, w]` of any resolution covering the same picture;
                segmenters that cannot use it ignore it.

        Returns:
            Bool `[N, H, W]`, one mask a box (N may be 0).
        """
        ...
