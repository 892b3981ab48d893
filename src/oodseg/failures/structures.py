"""Estimates the quality of a volume's structures from its slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from oodseg.core.taxonomy import BACKGROUND


class SliceRecord(Protocol):
    """Holds the estimates for a slice.

    Attributes:
        by_class: Estimated Dice of every predicted class.
        pixels: Predicted pixels of these classes.
    """

    @property
    def by_class(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def pixels(self) -> Mapping[str, int]: ...  # noqa: D102


def volume_dice(slices: Iterable[SliceRecord], classes: Sequence[str]) -> dict[str, float | None]:
    """Estimates the Dice of every structure of a whole volume from that of its slices.

    A volume's Dice is exactly the mean of its slices' Dice weighted by predicted plus true voxels; where
    the truth is not known, predicted voxels stand for both.

    Args:
        slices: Estimates for every slice.
        classes: Names; `background` is no structure.

    Returns:
        Estimate of every structure, 0..1; None of one that is predicted nowhere.
    """
    records = list(slices)
    found: dict[str, float | None] = {}
    for name in classes:
        if name == BACKGROUND:
            continue
        pairs = [(each.by_class[name], each.pixels[name]) for each in records if name in each.by_class]
        voxels = sum(pixels for _, pixels in pairs)
        total = sum(dice * pixels for dice, pixels in pairs)
        found[name] = round(total / voxels, 4) if voxels else None
    return found
