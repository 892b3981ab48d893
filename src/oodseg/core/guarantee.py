"""The guarantee of a calibrated pipeline about its boxes, and the condition it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from oodseg.core.errors import ConfigError

CALIBRATED = "calibrated"  # the operating point that a guarantee stands for

# What is kept in check: the promise as a phrase, and the largest loss that one image can have. More false
# alarms than that count as so many, since nothing can be promised of a loss without a bound.
RISKS = {
    "miss": ("at most {share} of the anomalous pixels of an image that holds any are missed", 1.0),
    "miss_objects": ("at most {share} of the unknown objects of an image that holds any are missed", 1.0),
    "false_alarms": ("at most {target:g} false alarms per image are raised (at most {bound:g} counted)", 5.0),
}


@dataclass(frozen=True)
class Guarantee:
    """Holds the box threshold of a conformal risk control (Angelopoulos et al., ICLR 2024, arXiv 2208.02814).

    Attributes:
        risk: What is kept in check: a key of `RISKS`.
        target: The mean loss allowed, > 0.
        least_confidence: Boxes below it are not proposed, 0..1.
        images: Number of calibration images that it rests on.
        data: What these are, for people.

    Raises:
        ConfigError: An unknown risk, or a number out of range.
    """

    risk: str
    target: float
    least_confidence: float
    images: int
    data: str

    def __post_init__(self) -> None:
        check_risk(self.risk, self.target)
        if not 0 <= self.least_confidence <= 1:
            raise ConfigError(
                f"a guarantee's least confidence must lie in 0..1, not at {self.least_confidence}: calibrate "
                "with `oodseg calibrate`"
            )

    @property
    def bound(self) -> float:
        """The largest loss that one image can have."""
        return RISKS[self.risk][1]

    def promise(self) -> str:
        """Says in one sentence what is promised, and on what condition."""
        phrase = RISKS[self.risk][0].format(
            share=f"{100 * self.target:.0f} %", target=self.target, bound=self.bound
        )
        return (
            f"on average {phrase}, provided that images are exchangeable with the {self.images} of the "
            f"calibration ({self.data}): of the same source, as if drawn at random with them"
        )


def check_risk(risk: str, target: float) -> None:
    """Checks that a risk can be asked for.

    Raises:
        ConfigError: There is no such risk, or the target is not between 0 and the largest possible loss.
    """
    if risk not in RISKS:
        raise ConfigError(f"there is no risk '{risk}'; choose one of: {', '.join(RISKS)}")
    if not 0 < target < RISKS[risk][1]:
        raise ConfigError(f"the target of {risk} lies between 0 and {RISKS[risk][1]:g}, not at {target:g}")
