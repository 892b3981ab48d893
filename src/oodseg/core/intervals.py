"""Intervals that hold the true quality of a segmented image with a given probability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oodseg.core.errors import ConfigError

EVIDENCE = 2  # what an interval goes by: the estimated mean, and the expected share of wrong pixels


@dataclass(frozen=True)
class QualityIntervals:
    """Locally weighted split conformal intervals (Lei et al., JASA 2018, Sec. 5.2).

    An interval is `centre - bound * spread .. centre + bound * spread`, cut to 0..1; centre and spread are
    linear in what the judge says of the image, and the bound is what the calibration images ask for. With
    images exchangeable with these, it holds the truth of a new one with probability `level`, however bad
    the two lines are.

    Attributes:
        level: That probability, in 0..1.
        centre: Constant and slopes: of the estimated mean, and of the expected share of wrong pixels.
        spread: The same of the size of the judge's error.
        least_spread: The spread is never taken to be less than this, > 0.
        bound: Times the spread that an interval reaches to both sides, 0 or more.
        quality: What the mean is of: `"IoU"` or `"Dice"`.
        images: Number of calibration images behind the bound.
        data: What these are, for people.

    Raises:
        ConfigError: Numbers that make no interval.
    """

    level: float
    centre: Sequence[float]
    spread: Sequence[float]
    least_spread: float
    bound: float
    quality: str
    images: int
    data: str

    def __post_init__(self) -> None:
        for name in ("centre", "spread"):  # JSON has lists alone
            object.__setattr__(self, name, tuple(map(float, vars(self)[name])))
        lines = len(self.centre) == len(self.spread) == EVIDENCE + 1
        if not (lines and 0 < self.level < 1 and self.least_spread > 0 and 0 <= self.bound < math.inf):
            raise ConfigError(
                "the intervals of a failure detector need a level in 0..1, three numbers each for centre and "
                "spread, and a bound of 0 or more: fit them with `oodseg calibrate`"
            )

    def around(self, mean: float, wrong: float) -> tuple[float, float] | None:
        """Returns the interval of an image's true mean quality, within 0..1.

        Args:
            mean: The estimated mean.
            wrong: Expected share of wrong pixels, 0..1.

        Returns:
            Lower and upper end; None where nothing is estimated (NaN).
        """
        if math.isnan(mean):
            return None
        centre = _line(self.centre, mean, wrong)
        reach = self.bound * max(self.least_spread, _line(self.spread, mean, wrong))
        return min(1.0, max(0.0, centre - reach)), max(0.0, min(1.0, centre + reach))

    def promise(self) -> str:
        """Says in one sentence what an interval promises, and on what condition."""
        return (
            f"the true mean {self.quality} of an image lies in its interval with a probability of "
            f"{100 * self.level:.0f} %, provided that it is exchangeable with the {self.images} images of "
            f"the calibration ({self.data}): of the same source, as if drawn at random with them"
        )


@dataclass(frozen=True)
class StructureIntervals:
    """Split conformal intervals of the Dice of a whole volume's structures (Lei et al., JASA 2018, Sec. 2).

    An interval reaches as far to both sides of the estimate as most of the calibration scans were off.

    Attributes:
        level: Probability, in 0..1, with which an interval holds the truth of a new scan.
        reach: By structure: how far it reaches, 0 or more.
        scans: Number of calibration scans, on which nothing was trained.
        data: What these are, and what their labels were made by, for people.

    Raises:
        ConfigError: Numbers that make no interval.
    """

    level: float
    reach: Mapping[str, float]
    scans: int
    data: str

    def __post_init__(self) -> None:
        if not (0 < self.level < 1 and all(0 <= each < math.inf for each in self.reach.values())):
            raise ConfigError(
                "the intervals of a volume's structures need a level in 0..1 and reaches of 0 or more: train "
                "the failure detector again"
            )

    def around(self, structure: str, dice: float | None) -> tuple[float, float] | None:
        """Returns the interval of a structure's true Dice, within 0..1.

        Args:
            structure: Its name.
            dice: The estimate; None where it is not predicted.

        Returns:
            Lower and upper end; None where nothing is estimated or promised.
        """
        if dice is None or structure not in self.reach:
            return None
        return max(0.0, dice - self.reach[structure]), min(1.0, dice + self.reach[structure])

    def promise(self) -> str:
        """Says in one sentence what an interval promises, and on what condition."""
        return (
            "the true Dice of a structure lies in its interval with a probability of "
            f"{100 * self.level:.0f} %, provided that scan and labels are exchangeable with the {self.scans} "
            f"of the calibration ({self.data}): of the same source, as if drawn at random with them"
        )


def _line(numbers: Sequence[float], *evidence: Any) -> float:
    constant, *slopes = numbers
    return float(constant + sum(slope * each for slope, each in zip(slopes, evidence, strict=True)))
