"""The contract of every prompt generator: anomaly score map in, boxes with confidences out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BoxPrompts:
    """Box prompts of one picture.

    Attributes:
        boxes: Float32 `[N, 4]`, `xyxy` in pixels of the score map that was handed in (x right, y down).
        confidence: Float32 `[N]` in 0..1, sorted descending.
    """

    boxes: Tensor
    confidence: Tensor


@runtime_checkable
class PromptGenerator(Protocol):
    """Draws one box around every object that stands out in a score map.

    Attributes:
        name: Key in `PROMPTS`.
    """

    name: str

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments: `PROMPTS[name](**config)` rebuilds the generator."""
        ...

    def propose(self, scores: Tensor) -> list[BoxPrompts]:
        """Proposes boxes.

        Args:
            scores: Float32 `[B, H, W]`, finite, normalised by `ScoreNormalizer` (in-distribution pixels
                have about mean 0 and standard deviation 1; higher = more anomalous).

        Returns:
            One `BoxPrompts` a picture, possibly with no box at all.
        """
        ...
