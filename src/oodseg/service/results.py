"""Keeps what was found in the last images, so that another view of the same one costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from oodseg.service.models import Models

if TYPE_CHECKING:
    from oodseg.core.parts import Assessment
    from oodseg.core.prediction import Prediction


_PIXELS = 20_000_000  # of kept assessments, which are as large as their images: 8 bytes each


class Results:
    """The last results, by the SHA-256 of the encoded image; the oldest go.

    Args:
        most: How many are kept of each kind.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[tuple[str, str], Prediction] = OrderedDict()
        self._judged: OrderedDict[str, tuple[Assessment, list[str]]] = OrderedDict()

    def prediction(self, digest: str, point: str, models: Models) -> Prediction | None:
        """Returns the objects of an image at an operating point or a readier one; None if unknown."""
        known = self._found.get((digest, point))
        if known is not None:
            self._found.move_to_end((digest, point))
            return replace(known)  # the masks that are drawn from it are not to stay
        readier = self._found.get((digest, models.readiest))
        return None if readier is None else at_point(readier, point, models)

    def keep_prediction(self, digest: str, point: str, found: Prediction) -> None:
        """Keeps what was found, without the image."""
        self._found[digest, point] = replace(found, open_image=None)
        while len(self._found) > self._most:
            self._found.popitem(last=False)

    def assessment(self, digest: str) -> tuple[Assessment, list[str]] | None:
        """Returns the assessment of an image and what was mended in that; None if unknown."""
        return self._judged.get(digest)

    def keep_assessment(self, digest: str, found: Assessment, warnings: list[str]) -> None:
        """Keeps what a judge said, and what was mended in the image."""
        self._judged[digest] = found, warnings
        while len(self._judged) > self._most or self._judged_pixels() > _PIXELS:
            self._judged.popitem(last=False)

    def _judged_pixels(self) -> int:
        return sum(found.error.size for found, _ in self._judged.values())


def at_point(found: Prediction, point: str, models: Models) -> Prediction:
    """Drops the objects that are not sure enough for an operating point.

    Whether an object is a part of another one is decided from the surest on, so that what is left is just
    what the pipeline finds at that point.
    """
    least = models.points[point]
    return replace(found, objects=[each for each in found.objects if each.confidence >= least])
