"""Limits on the objects that are kept of an image."""

from __future__ import annotations

from collections.abc import Sequence

from oodseg.core.errors import ConfigError
from oodseg.core.objects import OodObject


class Limits:
    """Settings of a pipeline that say which objects it gives out; setting one takes effect at once.

    Args:
        min_confidence: Least confidence of a box, 0..1, in place of the operating point; None for that.
        min_area: Least number of pixels of a mask.
        max_objects: Most objects per image, the most confident ones; None for all.

    Raises:
        ConfigError: One is out of range.
    """

    def __init__(
        self, min_confidence: float | None = None, min_area: int = 0, max_objects: int | None = None
    ) -> None:
        self.min_confidence, self.min_area, self.max_objects = min_confidence, min_area, max_objects

    @property
    def min_confidence(self) -> float | None:
        """Least confidence of a box, 0..1, in place of the operating point; None for that."""
        return self._min_confidence

    @min_confidence.setter
    def min_confidence(self, least: float | None) -> None:
        if least is not None and not 0 <= least <= 1:
            raise ConfigError(f"min_confidence must lie in 0..1, not at {least}")
        self._min_confidence = None if least is None else float(least)

    @property
    def min_area(self) -> int:
        """Least number of pixels of a mask."""
        return self._min_area

    @min_area.setter
    def min_area(self, pixels: int) -> None:
        if pixels < 0:
            raise ConfigError(f"min_area must be a number of pixels, not {pixels}")
        self._min_area = int(pixels)

    @property
    def max_objects(self) -> int | None:
        """Most objects per image, the most confident ones; None for all."""
        return self._max_objects

    @max_objects.setter
    def max_objects(self, most: int | None) -> None:
        if most is not None and most < 1:
            raise ConfigError(f"max_objects must be at least 1, not {most}")
        self._max_objects = None if most is None else int(most)

    @property
    def limits(self) -> dict[str, float | int]:
        """Those that are set, by name."""
        chosen = {
            "min_confidence": self.min_confidence,
            "min_area": self.min_area or None,
            "max_objects": self.max_objects,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def within_limits(self, objects: Sequence[OodObject]) -> list[OodObject]:
        """Keeps the objects that are large enough, and of these the most confident ones.

        Args:
            objects: Those of one image, most confident first.
        """
        return [found for found in objects if found.area >= self.min_area][: self.max_objects]
